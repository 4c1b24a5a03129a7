#pragma once
// What every memory operation is told about its caller, and the price list it charges. An operation adds its price to
// MemoryContext::cost; the caller charges that to its core. Prices are integer picoseconds, made once from a
// calibration file; this library has no opinion on them, so they default to zero. Figure ids: reference figures
// PB-1..PB-4, DM-9.

#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

struct MemoryContext {
  std::uint16_t cpu = 0;
  std::uint8_t node = 0;    ///< memory node of that CPU (numa_mem_id)
  bool in_softirq = false;  ///< serving a softirq, or bottom halves disabled (PP-21)
  Time now;                 ///< instant at which the operation starts
  Time cost;                ///< accumulated price of the operations
};

struct MemoryPrices {
  // page_pool (PB-1: cache pair 5.4 ns, ring pair 15.1 ns on M1)
  Time pool_cache_alloc;     ///< pop from the alloc cache
  Time pool_cache_recycle;   ///< push on the alloc cache
  Time pool_release;         ///< bookkeeping of a page that leaves the pool, without the free itself
  Time pool_refill;          ///< fixed part of one refill from the ring
  Time pool_slow;            ///< fixed part of one slow-path call, without the allocator
  Time pool_fragment;        ///< hand out or drop one fragment
  Time ring_consume;         ///< per page taken from the ptr_ring
  Time ring_produce;         ///< per page put on the ptr_ring
  Time ring_lock;            ///< one producer lock and unlock, uncontended
  Time ring_lock_transfer;   ///< extra when another CPU took the lock last (PP-27)
  Time dma_map;              ///< per page that enters a pool with DMA_MAP
  Time dma_unmap;            ///< per page that leaves it
  Time dma_sync_for_device;  ///< per sync call, where the device needs it (PP-16)
  // page allocator (PB-3, PB-4)
  Time alloc_entry;         ///< one alloc_pages or alloc_pages_bulk call: zonelist and watermark test
  Time alloc_slow_entry;    ///< one entry into the allocator's slow path
  Time pcp_alloc;           ///< per page popped from a per-CPU list
  Time pcp_free;            ///< per page pushed on it
  Time zone_lock;           ///< one hold of zone->lock, uncontended
  Time zone_lock_transfer;  ///< extra when another CPU took it last
  Time rmqueue_page;        ///< per page moved from the buddy lists to a per-CPU list
  Time free_page_bulk;      ///< per page moved back, with merging
  Time reclaim_page;        ///< per page reclaimed by kswapd or direct reclaim
};

}  // namespace rxpool
