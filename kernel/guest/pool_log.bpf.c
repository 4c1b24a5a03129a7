// Probes of the guest: every outermost call of a page_pool function becomes one record with the pool's counters after it.
// Calls that allocate or return are let in one CPU at a time (an interrupt of the same CPU passes): in the kernel they only
// exclude each other within parts, and a log that cannot say in which order two parts happened could not be replayed.
// The kernel's types are named with the fields used here only; CO-RE finds where they are.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "pool_log.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
typedef struct {
  int counter;
} atomic_t;
typedef struct {
  __s64 counter;
} atomic64_t;
typedef unsigned long netmem_ref;
struct napi_struct {
  int list_owner;
};
struct page_pool_params_fast {
  unsigned int order, pool_size;
  int nid;
  struct napi_struct* napi;
};
struct page_pool_params {
  unsigned int order;
};
struct pp_alloc_cache {
  __u32 count;
};
struct page_pool_alloc_stats {
  __u64 fast, slow, slow_high_order, empty, refill, waive;
};
struct page_pool_recycle_stats {
  __u64 cached, cache_full, ring, ring_full, released_refcnt;
};
struct ptr_ring {
  int producer, consumer_head, size;
  void** queue;
};
struct page_pool_user {
  __u32 id;
};
struct page_pool {
  struct page_pool_params_fast p;
  int cpuid;
  __u32 pages_state_hold_cnt;
  _Bool dma_map : 1;
  _Bool dma_sync : 1;
  _Bool system : 1;
  __s64 frag_users;
  netmem_ref frag_page;
  unsigned int frag_offset;
  struct page_pool_alloc_stats alloc_stats;
  struct pp_alloc_cache alloc;
  struct ptr_ring ring;
  struct page_pool_recycle_stats* recycle_stats;
  atomic_t pages_state_release_cnt;
  struct {
    __u32 id;
  } user;
};
struct page {
  unsigned long flags;
  unsigned long pp_magic;
  struct page_pool* pp;
  atomic64_t pp_ref_count;
  atomic_t _refcount;
};
#pragma clang attribute pop

extern const int __preempt_count __ksym;
extern const int numa_node __ksym;
extern const void __per_cpu_offset __ksym;

const volatile struct PoolLogConstants constants = {1, 54};
struct PoolLogState state;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} pool_log SEC(".maps");

struct OpenCall {
  struct PoolLogBulk record;
  struct page_pool* pool;
  volatile __u64 netmem;  // through memory, because the verifier lets nobody count with a pointer in a register
  __u32 depth;
  __u32 length;
  __u32 exclusive;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 512);
  __type(key, __u64);
  __type(value, struct OpenCall);
} open_calls SEC(".maps");

static const struct OpenCall no_call;

static __always_inline __u32 page_index(netmem_ref netmem) { return (__u32)((netmem & ~3UL) >> 6); }

static __always_inline int preempt_count(void) {
  const int* count = bpf_this_cpu_ptr(&__preempt_count);
  return *count;
}

// One key per thing that can be inside a page_pool function: a task, or the softirq (or idle task) of a CPU.
static __always_inline __u64 call_key(int preempt) {
  __u32 task = bpf_get_current_pid_tgid();
  return (preempt & 0x100) || !task ? (1ULL << 40) | bpf_get_smp_processor_id() : task;
}

static __always_inline void read_counts(struct page_pool* pool, struct PoolLogCounts* c) {
  c->hold = BPF_CORE_READ(pool, pages_state_hold_cnt);
  c->release = BPF_CORE_READ(pool, pages_state_release_cnt.counter);
  c->cache = BPF_CORE_READ(pool, alloc.count);
  int producer = BPF_CORE_READ(pool, ring.producer);
  int head = BPF_CORE_READ(pool, ring.consumer_head);
  int size = BPF_CORE_READ(pool, ring.size);
  void** queue = BPF_CORE_READ(pool, ring.queue);
  void* slot = 0;
  int fill = producer - head;
  if (fill < 0) {
    fill += size;
  } else if (fill == 0) {
    bpf_probe_read_kernel(&slot, sizeof(slot), queue + head);
    if (slot) {
      fill = size;
    }
  }
  c->ring = fill;
  slot = 0;
  bpf_probe_read_kernel(&slot, sizeof(slot), queue + producer);
  c->looks_full = slot != 0;
  if (bpf_core_field_exists(pool->alloc_stats)) {
    c->fast = BPF_CORE_READ(pool, alloc_stats.fast);
    c->slow = BPF_CORE_READ(pool, alloc_stats.slow);
    c->slow_high_order = BPF_CORE_READ(pool, alloc_stats.slow_high_order);
    c->empty = BPF_CORE_READ(pool, alloc_stats.empty);
    c->refill = BPF_CORE_READ(pool, alloc_stats.refill);
    c->waive = BPF_CORE_READ(pool, alloc_stats.waive);
    char* base = (char*)BPF_CORE_READ(pool, recycle_stats);
    c->cached = c->cache_full = c->recycled_ring = c->ring_full = c->released_refcnt = 0;
#pragma unroll
    for (__u32 cpu = 0; cpu < 4; ++cpu) {
      if (cpu >= constants.cpu_count) {
        break;
      }
      __u64 offset = 0;
      bpf_probe_read_kernel(&offset, sizeof(offset), (const char*)&__per_cpu_offset + 8 * cpu);
      struct page_pool_recycle_stats* stats = (void*)(base + offset);
      c->cached += BPF_CORE_READ(stats, cached);
      c->cache_full += BPF_CORE_READ(stats, cache_full);
      c->recycled_ring += BPF_CORE_READ(stats, ring);
      c->ring_full += BPF_CORE_READ(stats, ring_full);
      c->released_refcnt += BPF_CORE_READ(stats, released_refcnt);
    }
  }
}

static long try_own(__u64 turn, __u32* me) {
  __u32 owner = __sync_val_compare_and_swap(&state.owner, 0, *me);
  return owner == 0 || owner == *me;
}

// True when this call must give the turn back: not if an interrupted call of this CPU has it, nor after a wait too long.
static __always_inline int own(void) {
  __u32 me = bpf_get_smp_processor_id() + 1;
  if (state.owner == me) {
    return 0;
  }
  bpf_loop(1 << 22, try_own, &me, 0);
  if (state.owner == me) {
    return 1;
  }
  __sync_fetch_and_add(&state.overran, 1);
  return 0;
}

static __always_inline struct OpenCall* enter_as(struct page_pool* pool, __u8 kind, __u64 key_bits) {
  if (!state.armed) {
    return 0;
  }
  int preempt = preempt_count();
  __u64 key = call_key(preempt) | key_bits;
  struct OpenCall* call = bpf_map_lookup_elem(&open_calls, &key);
  if (call) {
    ++call->depth;
    return 0;
  }
  if (bpf_map_update_elem(&open_calls, &key, &no_call, BPF_NOEXIST) || !(call = bpf_map_lookup_elem(&open_calls, &key))) {
    __sync_fetch_and_add(&state.lost, 1);
    return 0;
  }
  struct PoolLogOp* op = &call->record.op;
  call->pool = pool;
  call->length = sizeof(struct PoolLogOp);
  call->exclusive = ((kind >= POOL_LOG_ALLOC && kind <= POOL_LOG_PUT_BULK) || kind == POOL_LOG_SCRUB) && own();
  op->header.kind = kind;
  op->header.cpu = bpf_get_smp_processor_id();
  op->header.flags = ((preempt & 0xff00) ? POOL_LOG_IN_SOFTIRQ : 0) | ((preempt & 0x100) ? POOL_LOG_SERVING_SOFTIRQ : 0);
  op->header.time_ns = bpf_ktime_get_ns();
  const int* node = bpf_this_cpu_ptr(&numa_node);
  op->numa_mem = *node;
  op->list_owner = -1;
  if (pool) {
    op->header.pool = BPF_CORE_READ(pool, user.id);
    struct napi_struct* napi = BPF_CORE_READ(pool, p.napi);
    if (napi) {
      op->header.flags |= POOL_LOG_HAS_NAPI;
      op->list_owner = BPF_CORE_READ(napi, list_owner);
    }
    op->cpuid = BPF_CORE_READ(pool, cpuid);
    op->nid = BPF_CORE_READ(pool, p.nid);
  }
  op->header.enter_seq = __sync_fetch_and_add(&state.next_seq, 1);
  return call;
}

static __always_inline struct OpenCall* enter(struct page_pool* pool, __u8 kind) { return enter_as(pool, kind, 0); }

// The open call of this context if it is the outermost one, else nothing.
static __always_inline struct OpenCall* leaving(__u64* key) {
  *key = call_key(preempt_count());
  struct OpenCall* call = bpf_map_lookup_elem(&open_calls, key);
  if (!call) {
    return 0;
  }
  if (call->depth) {
    --call->depth;
    return 0;
  }
  return call;
}

static __always_inline void finish(struct OpenCall* call, __u64 key) {
  struct PoolLogOp* op = &call->record.op;
  if (call->pool && op->header.kind != POOL_LOG_RETRY && op->header.kind != POOL_LOG_DESTROY) {
    read_counts(call->pool, &op->counts);
  }
  op->header.exit_seq = __sync_fetch_and_add(&state.next_seq, 1);
  __u32 length = call->length;
  if (length > sizeof(struct PoolLogBulk)) {
    length = sizeof(struct PoolLogBulk);
  }
  op->header.size = length;
  if (bpf_ringbuf_output(&pool_log, &call->record, length, BPF_RB_NO_WAKEUP)) {
    __sync_fetch_and_add(&state.lost, 1);
  }
  if (call->exclusive) {
    __sync_lock_test_and_set(&state.owner, 0);
  }
  bpf_map_delete_elem(&open_calls, &key);
}

static __always_inline void read_page(netmem_ref netmem, __u32* refcount, __u64* pp_ref_count, __u16* flags) {
  struct page* page = (struct page*)(netmem & ~3UL);
  *refcount = BPF_CORE_READ(page, _refcount.counter);
  *pp_ref_count = BPF_CORE_READ(page, pp_ref_count.counter);
  if (BPF_CORE_READ(page, pp_magic) & 2) {
    *flags |= POOL_LOG_PFMEMALLOC;
  }
}

static __always_inline int leave(void) {
  __u64 key;
  struct OpenCall* call = leaving(&key);
  if (call) {
    finish(call, key);
  }
  return 0;
}

// --- creation and end ---

SEC("fexit/page_pool_create_percpu")
int BPF_PROG(created, const struct page_pool_params* params, int cpuid, struct page_pool* pool) {
  if ((long)pool >= -4095L && (long)pool < 0) {
    return 0;
  }
  struct OpenCall* call = enter(pool, POOL_LOG_CREATE);
  if (call) {
    struct PoolLogOp* op = &call->record.op;
    op->order = BPF_CORE_READ(pool, p.order);
    op->pool_size = BPF_CORE_READ(pool, p.pool_size);
    op->argument = BPF_CORE_READ(pool, ring.size);
    op->header.flags |= (BPF_CORE_READ_BITFIELD_PROBED(pool, dma_map) ? POOL_LOG_DMA_MAP : 0) |
                        (BPF_CORE_READ_BITFIELD_PROBED(pool, dma_sync) ? POOL_LOG_DMA_SYNC : 0) |
                        (BPF_CORE_READ_BITFIELD_PROBED(pool, system) ? POOL_LOG_SYSTEM : 0);
    finish(call, call_key(preempt_count()));
  }
  return 0;
}

SEC("fentry/page_pool_disable_direct_recycling")
int BPF_PROG(disable_enter, struct page_pool* pool) {
  enter(pool, POOL_LOG_DISABLE_DIRECT);
  return 0;
}
SEC("fexit/page_pool_disable_direct_recycling")
int BPF_PROG(disable_exit) { return leave(); }

static __always_inline void read_fragment(struct page_pool* pool, struct PoolLogOp* op) {
  netmem_ref current = BPF_CORE_READ(pool, frag_page);
  op->frag_page = page_index(current);
  if (current) {
    __u64 references = 0;
    read_page(current, &op->refcount, &references, &op->header.flags);
    op->pp_ref_count = references;
  }
}

SEC("fentry/page_pool_destroy")
int BPF_PROG(destroy_enter, struct page_pool* pool) {
  struct OpenCall* call = pool ? enter(pool, POOL_LOG_DESTROY) : 0;
  if (call) {
    read_fragment(pool, &call->record.op);
  }
  return 0;
}
SEC("fexit/page_pool_destroy")
int BPF_PROG(destroy_exit, struct page_pool* pool) { return pool ? leave() : 0; }

// Inside destroy or retry, and a call of its own in the log, because returns of other CPUs come before and after it.
#define SCRUB_KEY (1ULL << 42)

SEC("fentry/page_pool_release")
int BPF_PROG(scrub_enter, struct page_pool* pool) {
  __u64 key = call_key(preempt_count());
  struct OpenCall* outer = bpf_map_lookup_elem(&open_calls, &key);
  struct OpenCall* call = enter_as(pool, POOL_LOG_SCRUB, SCRUB_KEY);
  if (call && outer && outer->record.op.header.kind == POOL_LOG_DESTROY) {
    struct PoolLogOp* op = &call->record.op;
    op->header.flags |= POOL_LOG_DESTROYING;
    op->frag_page = outer->record.op.frag_page;
    op->refcount = outer->record.op.refcount;
    op->pp_ref_count = outer->record.op.pp_ref_count;
  }
  return 0;
}
SEC("fexit/page_pool_release")
int BPF_PROG(scrub_exit, struct page_pool* pool, int inflight) {
  __u64 key = call_key(preempt_count()) | SCRUB_KEY;
  struct OpenCall* call = bpf_map_lookup_elem(&open_calls, &key);
  if (call) {
    call->record.op.argument = inflight;
    finish(call, key);
  }
  return 0;
}

SEC("fentry/page_pool_release_retry")
int BPF_PROG(retry_enter) {
  enter(0, POOL_LOG_RETRY);
  return 0;
}
SEC("fexit/page_pool_release_retry")
int BPF_PROG(retry_exit) { return leave(); }

SEC("fentry/page_pool_update_nid")
int BPF_PROG(nid_enter, struct page_pool* pool, int nid) {
  struct OpenCall* call = enter(pool, POOL_LOG_UPDATE_NID);
  if (call) {
    call->record.op.argument = nid;
  }
  return 0;
}
SEC("fexit/page_pool_update_nid")
int BPF_PROG(nid_exit) { return leave(); }

// --- allocation ---

SEC("fentry/page_pool_alloc_netmems")
int BPF_PROG(alloc_enter, struct page_pool* pool) {
  enter(pool, POOL_LOG_ALLOC);
  return 0;
}
SEC("fexit/page_pool_alloc_netmems")
int BPF_PROG(alloc_exit, struct page_pool* pool, unsigned int gfp, netmem_ref netmem) {
  __u64 key;
  struct OpenCall* call = leaving(&key);
  if (call) {
    call->record.op.header.page = page_index(netmem);
    finish(call, key);
  }
  return 0;
}

SEC("fentry/page_pool_alloc_pages")
int BPF_PROG(alloc_pages_enter, struct page_pool* pool) {
  enter(pool, POOL_LOG_ALLOC);
  return 0;
}
SEC("fexit/page_pool_alloc_pages")
int BPF_PROG(alloc_pages_exit, struct page_pool* pool, unsigned int gfp, struct page* page) {
  __u64 key;
  struct OpenCall* call = leaving(&key);
  if (call) {
    call->netmem = (__u64)page;
    call->record.op.header.page = page_index(call->netmem);
    finish(call, key);
  }
  return 0;
}

static __always_inline void frag_enter(struct page_pool* pool, unsigned int size) {
  struct OpenCall* call = enter(pool, POOL_LOG_ALLOC_FRAG);
  if (call) {
    struct PoolLogOp* op = &call->record.op;
    op->argument = size;
    read_fragment(pool, op);
  }
}

static __always_inline void frag_exit(struct page_pool* pool, unsigned int* offset, __u64 page) {
  __u64 key;
  struct OpenCall* call = leaving(&key);
  if (call) {
    call->netmem = page;
    netmem_ref netmem = call->netmem;
    struct PoolLogOp* op = &call->record.op;
    op->header.page = page_index(netmem);
    bpf_probe_read_kernel(&op->result_offset, sizeof(op->result_offset), offset);
    op->frag_offset = BPF_CORE_READ(pool, frag_offset);
    op->frag_users = BPF_CORE_READ(pool, frag_users);
    finish(call, key);
  }
}

SEC("fentry/page_pool_alloc_frag_netmem")
int BPF_PROG(frag_netmem_enter, struct page_pool* pool, unsigned int* offset, unsigned int size) {
  frag_enter(pool, size);
  return 0;
}
SEC("fexit/page_pool_alloc_frag_netmem")
int BPF_PROG(frag_netmem_exit, struct page_pool* pool, unsigned int* offset, unsigned int size, unsigned int gfp,
             netmem_ref netmem) {
  frag_exit(pool, offset, netmem);
  return 0;
}
SEC("fentry/page_pool_alloc_frag")
int BPF_PROG(frag_page_enter, struct page_pool* pool, unsigned int* offset, unsigned int size) {
  frag_enter(pool, size);
  return 0;
}
SEC("fexit/page_pool_alloc_frag")
int BPF_PROG(frag_page_exit, struct page_pool* pool, unsigned int* offset, unsigned int size, unsigned int gfp,
             struct page* page) {
  frag_exit(pool, offset, (__u64)page);
  return 0;
}

// --- return ---

static __always_inline void put_enter(struct page_pool* pool, __u64 page, int sync_size, _Bool allow_direct) {
  struct OpenCall* call = enter(pool, POOL_LOG_PUT);
  if (call) {
    call->netmem = page;
    netmem_ref netmem = call->netmem;
    struct PoolLogOp* op = &call->record.op;
    __u64 references = 0;
    op->header.page = page_index(netmem);
    op->argument = sync_size;
    op->header.flags |= allow_direct ? POOL_LOG_ALLOW_DIRECT : 0;
    read_page(netmem, &op->refcount, &references, &op->header.flags);
    op->pp_ref_count = references;
  }
}

SEC("fentry/page_pool_put_unrefed_netmem")
int BPF_PROG(put_netmem_enter, struct page_pool* pool, netmem_ref netmem, unsigned int size, _Bool direct) {
  put_enter(pool, netmem, size, direct);
  return 0;
}
SEC("fexit/page_pool_put_unrefed_netmem")
int BPF_PROG(put_netmem_exit) { return leave(); }
SEC("fentry/page_pool_put_unrefed_page")
int BPF_PROG(put_page_enter, struct page_pool* pool, struct page* page, unsigned int size, _Bool direct) {
  put_enter(pool, (__u64)page, size, direct);
  return 0;
}
SEC("fexit/page_pool_put_unrefed_page")
int BPF_PROG(put_page_exit) { return leave(); }

SEC("fentry/page_pool_put_netmem_bulk")
int BPF_PROG(bulk_enter, netmem_ref* data, __u32 count) {
  netmem_ref first = 0;
  bpf_probe_read_kernel(&first, sizeof(first), data);
  struct page* page = (struct page*)(first & ~3UL);
  struct page_pool* pool = BPF_CORE_READ(page, pp);
  struct OpenCall* call = enter(pool, POOL_LOG_PUT_BULK);
  if (!call) {
    return 0;
  }
  call->record.op.argument = count;
  call->length = sizeof(struct PoolLogBulk);
  for (__u32 i = 0; i < POOL_LOG_BULK; ++i) {
    if (i >= count) {
      break;
    }
    netmem_ref netmem = 0;
    bpf_probe_read_kernel(&netmem, sizeof(netmem), data + i);
    struct PoolLogItem* item = &call->record.items[i];
    struct page* one = (struct page*)(netmem & ~3UL);
    __u16 flags = 0;
    __u64 references = 0;
    item->page = page_index(netmem);
    item->pool = BPF_CORE_READ(one, pp, user.id);
    read_page(netmem, &item->refcount, &references, &flags);
    item->pp_ref_count = references;
    item->flags = flags;
  }
  return 0;
}
SEC("fexit/page_pool_put_netmem_bulk")
int BPF_PROG(bulk_exit) { return leave(); }

// --- entry to and exit from the pool ---

static __always_inline void crossing(const struct page_pool* pool, netmem_ref netmem, __u32 count, __u8 kind) {
  if (!state.armed) {
    return;
  }
  struct PoolLogHold* record = bpf_ringbuf_reserve(&pool_log, sizeof(*record), 0);
  if (!record) {
    __sync_fetch_and_add(&state.lost, 1);
    return;
  }
  unsigned long flags = 0;
  bpf_probe_read_kernel(&flags, sizeof(flags), (void*)(netmem & ~3UL));
  record->header.size = sizeof(*record);
  record->header.kind = kind;
  record->header.cpu = bpf_get_smp_processor_id();
  record->header.flags = 0;
  record->header.pool = BPF_CORE_READ(pool, user.id);
  record->header.page = page_index(netmem);
  record->header.time_ns = bpf_ktime_get_ns();
  record->header.enter_seq = record->header.exit_seq = __sync_fetch_and_add(&state.next_seq, 1);
  record->node = flags >> constants.node_shift;
  record->count = count;
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

SEC("tp_btf/page_pool_state_hold")
int BPF_PROG(state_hold, const struct page_pool* pool, netmem_ref netmem, __u32 hold) {
  crossing(pool, netmem, hold, POOL_LOG_HOLD);
  return 0;
}

SEC("tp_btf/page_pool_state_release")
int BPF_PROG(state_release, const struct page_pool* pool, netmem_ref netmem, __u32 release) {
  crossing(pool, netmem, release, POOL_LOG_RELEASE);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
