// Probes of the per-CPU page lists of mm/page_alloc.c. Calls that hold a list's lock cannot interrupt each other on a
// CPU; only the decay takes the lock somewhere inside, so it has a place of its own.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "list_log.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct zone {
  int node;
  unsigned long flags;
};
struct per_cpu_pages {
  int count, high, high_min, high_max, batch;
  __u8 flags, alloc_factor;
  short free_count;
};
#pragma clang attribute pop
enum zone_flags { ZONE_BOOSTED_WATERMARK, ZONE_RECLAIM_ACTIVE, ZONE_BELOW_HIGH };

extern const int numa_node __ksym;

const volatile struct PoolLogConstants constants = {1, 54};
struct PoolLogState state;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} pool_log SEC(".maps");

enum { UNDER_LOCK, DECAY, FLUSH, PLACES };

struct OpenCall {
  struct ListLogOp op;
  struct per_cpu_pages* list;
  __u32 open;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, PLACES);
  __type(key, __u32);
  __type(value, struct OpenCall);
} open_places SEC(".maps");

static __always_inline struct OpenCall* place(__u32 index) {
  return bpf_map_lookup_elem(&open_places, &index);
}

static __always_inline __u32 page_index(void* page) {
  volatile __u64 address = (__u64)page;  // through memory, because the verifier lets nobody count with a pointer
  return (__u32)(address >> 6);
}

static __always_inline void read_list(struct per_cpu_pages* list, struct ListLogCounts* c) {
  c->count = BPF_CORE_READ(list, count);
  c->high = BPF_CORE_READ(list, high);
  c->high_min = BPF_CORE_READ(list, high_min);
  c->high_max = BPF_CORE_READ(list, high_max);
  c->batch = BPF_CORE_READ(list, batch);
  c->alloc_factor = BPF_CORE_READ(list, alloc_factor);
  c->free_count = BPF_CORE_READ(list, free_count);
  c->prev_free_high_order = BPF_CORE_READ(list, flags) & 1;
}

static __always_inline int enter(__u32 index, struct zone* zone, struct per_cpu_pages* list, __u8 kind, __u32 order,
                                 __u32 type, __u32 page) {
  struct OpenCall* call = state.armed ? place(index) : 0;
  if (!call) {
    return 0;
  }
  struct ListLogOp* op = &call->op;
  const int* node = bpf_this_cpu_ptr(&numa_node);
  unsigned long flags = BPF_CORE_READ(zone, flags);
  op->header.size = sizeof(*op);
  op->header.kind = kind;
  op->header.cpu = bpf_get_smp_processor_id();
  op->header.flags =
      (flags >> bpf_core_enum_value(enum zone_flags, ZONE_BELOW_HIGH) & 1 ? LIST_LOG_BELOW_HIGH : 0) |
      (flags >> bpf_core_enum_value(enum zone_flags, ZONE_RECLAIM_ACTIVE) & 1 ? LIST_LOG_RECLAIM_ACTIVE : 0) |
      (BPF_CORE_READ(zone, node) == *node ? LIST_LOG_LOCAL : 0);
  op->header.pool = (__u32)(unsigned long)zone;
  op->header.page = page;
  op->header.time_ns = bpf_ktime_get_ns();
  op->header.enter_seq = __sync_fetch_and_add(&state.next_seq, 1);
  op->order = order;
  op->type = type;
  op->taken = op->given = 0;
  read_list(list, &op->before);
  call->list = list;
  call->open = 1;
  return 0;
}

static __always_inline int leave(__u32 index, __u32 page) {
  struct OpenCall* call = place(index);
  if (!call || !call->open) {
    return 0;
  }
  call->open = 0;
  if (page) {
    call->op.header.page = page;
  }
  read_list(call->list, &call->op.after);
  call->op.header.exit_seq = __sync_fetch_and_add(&state.next_seq, 1);
  if (bpf_ringbuf_output(&pool_log, &call->op, sizeof(call->op), BPF_RB_NO_WAKEUP)) {
    __sync_fetch_and_add(&state.lost, 1);
  }
  return 0;
}

SEC("fentry/__rmqueue_pcplist")
int BPF_PROG(alloc_enter, struct zone* zone, unsigned int order, int type, unsigned int flags,
             struct per_cpu_pages* list) {
  return enter(UNDER_LOCK, zone, list, LIST_LOG_ALLOC, order, type, 0);
}
SEC("fexit/__rmqueue_pcplist")
int BPF_PROG(alloc_exit, struct zone* zone, unsigned int order, int type, unsigned int flags,
             struct per_cpu_pages* list, void* head, void* page) {
  return leave(UNDER_LOCK, page_index(page));
}

SEC("fentry/free_frozen_page_commit")
int BPF_PROG(free_enter, struct zone* zone, struct per_cpu_pages* list, void* page, int type, unsigned int order) {
  return enter(UNDER_LOCK, zone, list, LIST_LOG_FREE, order, type, page_index(page));
}
SEC("fexit/free_frozen_page_commit")
int BPF_PROG(free_exit) {
  return leave(UNDER_LOCK, 0);
}

SEC("fentry/decay_pcp_high")
int BPF_PROG(decay_enter, struct zone* zone, struct per_cpu_pages* list) {
  return enter(DECAY, zone, list, LIST_LOG_DECAY, 0, 0, 0);
}
SEC("fexit/decay_pcp_high")
int BPF_PROG(decay_exit) {
  return leave(DECAY, 0);
}

static __always_inline int inside(__u32 index, struct per_cpu_pages* list) {
  struct OpenCall* call = place(index);
  return call && call->open && call->list == list;
}

SEC("fentry/free_pcppages_bulk")
int BPF_PROG(flush_enter, struct zone* zone, int count, struct per_cpu_pages* list) {
  return inside(UNDER_LOCK, list) || inside(DECAY, list) ? 0 : enter(FLUSH, zone, list, LIST_LOG_FLUSH, 0, 0, 0);
}
SEC("fexit/free_pcppages_bulk")
int BPF_PROG(flush_exit) {
  return leave(FLUSH, 0);
}

SEC("tp_btf/mm_page_alloc_zone_locked")
int BPF_PROG(taken) {
  struct OpenCall* call = place(UNDER_LOCK);
  if (call && call->open) {
    ++call->op.taken;
  }
  return 0;
}

SEC("tp_btf/mm_page_pcpu_drain")
int BPF_PROG(given) {
  for (__u32 i = 0; i < PLACES; ++i) {
    struct OpenCall* call = place(i);
    if (call && call->open) {
      ++call->op.given;
      break;
    }
  }
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
