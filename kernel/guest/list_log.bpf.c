// Probes of the per-CPU page lists of mm/page_alloc.c: its frees, which hold a list's lock and so cannot interrupt each
// other on a CPU, and the decay, which takes the lock somewhere inside and so has a place of its own. Allocations
// cannot be probed: what takes a page off a list is inline and carries no trace hook.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "list_log.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct zone {
  unsigned long flags;
};
struct per_cpu_pages {
  int count, high, high_min, high_max, batch;
  __u8 flags, alloc_factor;
  short free_count;
};
#pragma clang attribute pop
enum zone_flags { ZONE_BOOSTED_WATERMARK, ZONE_RECLAIM_ACTIVE, ZONE_BELOW_HIGH };

const volatile struct PoolLogConstants constants = {1, 54};
struct PoolLogState state;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} pool_log SEC(".maps");

enum { FREE, DECAY, PLACES };

struct OpenCall {
  struct ListLogOp op;
  struct per_cpu_pages* list;
  volatile __u64 page;  // through memory, because the verifier lets nobody count with a pointer in a register
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
                                 __u32 type, void* page) {
  struct OpenCall* call = state.armed ? place(index) : 0;
  if (!call) {
    return 0;
  }
  struct ListLogOp* op = &call->op;
  unsigned long flags = BPF_CORE_READ(zone, flags);
  op->header.size = sizeof(*op);
  op->header.kind = kind;
  op->header.cpu = bpf_get_smp_processor_id();
  op->header.flags =
      (flags >> bpf_core_enum_value(enum zone_flags, ZONE_BELOW_HIGH) & 1 ? LIST_LOG_BELOW_HIGH : 0) |
      (flags >> bpf_core_enum_value(enum zone_flags, ZONE_RECLAIM_ACTIVE) & 1 ? LIST_LOG_RECLAIM_ACTIVE : 0);
  op->header.pool = (__u32)(unsigned long)zone;
  call->page = (__u64)page;
  op->header.page = (__u32)(call->page >> 6);
  op->header.time_ns = bpf_ktime_get_ns();
  op->header.enter_seq = __sync_fetch_and_add(&state.next_seq, 1);
  op->order = order;
  op->type = type;
  op->given = 0;
  read_list(list, &op->before);
  call->list = list;
  call->open = 1;
  return 0;
}

static __always_inline int leave(__u32 index) {
  struct OpenCall* call = place(index);
  if (!call || !call->open) {
    return 0;
  }
  call->open = 0;
  read_list(call->list, &call->op.after);
  call->op.header.exit_seq = __sync_fetch_and_add(&state.next_seq, 1);
  if (bpf_ringbuf_output(&pool_log, &call->op, sizeof(call->op), BPF_RB_NO_WAKEUP)) {
    __sync_fetch_and_add(&state.lost, 1);
  }
  return 0;
}

SEC("fentry/free_frozen_page_commit")
int BPF_PROG(free_enter, struct zone* zone, struct per_cpu_pages* list, void* page, int type, unsigned int order) {
  return enter(FREE, zone, list, LIST_LOG_FREE, order, type, page);
}
SEC("fexit/free_frozen_page_commit")
int BPF_PROG(free_exit) {
  return leave(FREE);
}

SEC("fentry/decay_pcp_high")
int BPF_PROG(decay_enter, struct zone* zone, struct per_cpu_pages* list) {
  return enter(DECAY, zone, list, LIST_LOG_DECAY, 0, 0, 0);
}
SEC("fexit/decay_pcp_high")
int BPF_PROG(decay_exit) {
  return leave(DECAY);
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
