/* Reads a page_pool's counters from a program, of any kernel that has BTF. */
#ifndef RXPOOL_KERNEL_LIVE_POOL_READ_BPF_H
#define RXPOOL_KERNEL_LIVE_POOL_READ_BPF_H

#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kernel/live/pool_snapshot.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
typedef struct {
  int counter;
} atomic_t;
struct kobject {
  const char* name;
};
struct device {
  struct kobject kobj;
};
struct page_pool_params_fast {
  struct device* dev;
};
struct pp_alloc_cache {
  __u32 count;
};
struct ptr_ring {
  int producer, consumer_head, size;
  void** queue;
};
struct page_pool {
  struct page_pool_params_fast p;
  __u32 pages_state_hold_cnt;
  struct pp_alloc_cache alloc;
  struct ptr_ring ring;
  atomic_t pages_state_release_cnt;
};
#pragma clang attribute pop

// One reading that no refill of the pool's cache from its ring fell into: during a refill the ring's head moves on with
// every page, while the cache's count may not be written before the last one.
static __always_inline int read_pool(struct page_pool* pool, struct PoolRead* read) {
  void* slot = 0;
  int head = BPF_CORE_READ(pool, ring.consumer_head);
  read->release = BPF_CORE_READ(pool, pages_state_release_cnt.counter);
  read->hold = BPF_CORE_READ(pool, pages_state_hold_cnt);
  read->cache = BPF_CORE_READ(pool, alloc.count);
  int size = BPF_CORE_READ(pool, ring.size);
  void** queue = BPF_CORE_READ(pool, ring.queue);
  int fill = BPF_CORE_READ(pool, ring.producer) - head;
  if (fill == 0) {
    bpf_probe_read_kernel(&slot, sizeof(slot), queue + head);
    fill = slot ? size : 0;
  } else if (fill < 0) {
    fill += size;
  }
  read->ring = fill;
  return BPF_CORE_READ(pool, ring.consumer_head) == head;
}

static __always_inline void take_snapshot(struct page_pool* pool, struct PoolSnapshot* into) {
  struct PoolRead read = {};
  __u32 reads = 0;
  into->time_ns = bpf_ktime_get_ns();
  for (int i = 0; i < POOL_ATTEMPTS && reads < POOL_READS; ++i) {
    if (pool && !read_pool(pool, &read)) {
      continue;
    }
    into->reads[reads & 7] = read;
    ++reads;
  }
  into->count = reads;
}

#endif
