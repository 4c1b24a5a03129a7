// The probes' machinery: one open call per context, who may be inside, and the record that a call leaves.
#ifndef RXPOOL_KERNEL_GUEST_POOL_CALLS_BPF_H
#define RXPOOL_KERNEL_GUEST_POOL_CALLS_BPF_H

#include "pool_log.h"
#include "pool_types.bpf.h"

extern const int __preempt_count __ksym;
extern const int numa_node __ksym;
extern const void __per_cpu_offset __ksym;
extern const void system_page_pool __ksym __weak;

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

static __always_inline __u32 page_index(netmem_ref netmem) {
  return (__u32)((netmem & ~3UL) >> 6);
}

static __always_inline int preempt_count(void) {
  const int* count = bpf_this_cpu_ptr(&__preempt_count);
  return *count;
}

// One key per thing that can be inside a page_pool function: a task, or the softirq (or idle task) of a CPU.
static __always_inline __u64 call_key(int preempt) {
  __u32 task = bpf_get_current_pid_tgid();
  return (preempt & 0x100) || !task ? (1ULL << 40) | bpf_get_smp_processor_id() : task;
}

// An address in the area of one CPU.
static __always_inline void* of_cpu(__u32 cpu, const void* variable) {
  __u64 offset = 0;
  bpf_probe_read_kernel(&offset, sizeof(offset), (const char*)&__per_cpu_offset + 8 * cpu);
  return (char*)variable + offset;
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
      struct page_pool_recycle_stats* stats = of_cpu(cpu, base);
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

// True when this call must give the turn back: not if an interrupted call of this CPU has it. After a wait too long it
// takes the turn from the owner, which may wait for an interrupt of this CPU, or have left unseen.
static __always_inline int own(struct PoolLogOp* op) {
  __u32 me = bpf_get_smp_processor_id() + 1;
  if (state.owner == me) {
    return 0;
  }
  bpf_loop(1 << 22, try_own, &me, 0);
  if (state.owner == me) {
    return 1;
  }
  op->header.flags |= POOL_LOG_BESIDE;
  __sync_fetch_and_add(&state.overran, 1);
  __sync_lock_test_and_set(&state.owner, me);
  return 1;
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
  if (bpf_map_update_elem(&open_calls, &key, &no_call, BPF_NOEXIST) ||
      !(call = bpf_map_lookup_elem(&open_calls, &key))) {
    __sync_fetch_and_add(&state.lost, 1);
    return 0;
  }
  struct PoolLogOp* op = &call->record.op;
  call->pool = pool;
  call->length = sizeof(struct PoolLogOp);
  op->header.kind = kind;
  op->header.cpu = bpf_get_smp_processor_id();
  op->header.flags =
      ((preempt & 0xff00) ? POOL_LOG_IN_SOFTIRQ : 0) | ((preempt & 0x100) ? POOL_LOG_SERVING_SOFTIRQ : 0);
  call->exclusive = ((kind >= POOL_LOG_ALLOC && kind <= POOL_LOG_PUT_BULK) || kind == POOL_LOG_SCRUB) && own(op);
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

static __always_inline struct OpenCall* enter(struct page_pool* pool, __u8 kind) {
  return enter_as(pool, kind, 0);
}

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

#endif
