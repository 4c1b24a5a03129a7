// The kernel's types with the fields that the probes use; CO-RE finds where they are.
#ifndef RXPOOL_KERNEL_GUEST_POOL_TYPES_BPF_H
#define RXPOOL_KERNEL_GUEST_POOL_TYPES_BPF_H

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

#endif
