#pragma once
// What a page_pool is made from and what it counts: the kernel's constants, its parameters, a provider of other memory
// than the page allocator's, the statistics of ethtool and netlink. Rules: PP-1..5, PP-13, PP-16, PP-45;
// include/net/page_pool/types.h.

#include <cstdint>

#include "models/memory/context.hpp"
#include "models/memory/page.hpp"
#include "models/memory/page_allocator.hpp"

namespace rxpool {

/// The compile-time constants of the kernel's pool, in one place so that a patch can be tried as a variant.
struct PagePoolConstants {
  std::uint32_t cache_size = 128;          ///< PP_ALLOC_CACHE_SIZE
  std::uint32_t cache_refill = 64;         ///< PP_ALLOC_CACHE_REFILL: target of a refill, and the slow path's bulk
  std::uint32_t default_ring_size = 1024;  ///< pool_size 0
};

/// Memory that does not come from the page allocator (devmem, io_uring zcrx): replaces the slow path (PP-13).
class MemoryProvider {
 public:
  virtual ~MemoryProvider() = default;
  /// Up to `count` chunks into `out`; returns how many. 0 is a failed allocation.
  virtual std::uint32_t alloc_netmems(MemoryContext& ctx, PageId* out, std::uint32_t count) = 0;
  virtual void release_netmem(MemoryContext& ctx, PageId page) = 0;
};

enum class DmaDirection : std::uint8_t { from_device, bidirectional, to_device };

struct PagePoolParameters {
  std::uint8_t order = 0;       ///< pages of PAGE_SIZE << order
  std::uint32_t pool_size = 0;  ///< ring size only (PP-1, PP-4)
  int nid = numa_no_node;
  const std::int32_t* napi_list_owner = nullptr;  ///< the NAPI's list_owner, nullptr without a NAPI (PP-21)
  std::int32_t cpuid = -1;                        ///< per-CPU system pools only (PP-5)
  bool dma_map = false;
  bool dma_sync_dev = false;
  bool dma_dev_need_sync = true;  ///< false on coherent hardware: syncs are free (PP-16)
  DmaDirection dma_direction = DmaDirection::from_device;
  std::uint32_t max_len = 0;  ///< bytes synced at most
  std::uint32_t offset = 0;
  std::uint32_t dma_cache_alignment = 1;  ///< dma_get_cache_alignment, 1 on x86 (PP-45)
  bool preempt_rt = false;                ///< never direct from implicit returns (PP-21)
  bool has_netdev = true;                 ///< the netdev is visible; false silences nothing but PP-53's condition
  MemoryProvider* provider = nullptr;
  PagePoolConstants constants{};
};

/// Names as in `ethtool -S` (rx_pp_<name>) and netlink; the last group has no kernel name.
struct PagePoolStats {
  std::uint64_t alloc_fast = 0;
  std::uint64_t alloc_slow = 0;  ///< one per bulk, not per page
  std::uint64_t alloc_slow_high_order = 0;
  std::uint64_t alloc_empty = 0;
  std::uint64_t alloc_refill = 0;
  std::uint64_t alloc_waive = 0;
  std::uint64_t recycle_cached = 0;
  std::uint64_t recycle_cache_full = 0;
  std::uint64_t recycle_ring = 0;
  std::uint64_t recycle_ring_full = 0;  ///< once per bulk (PP-32)
  std::uint64_t recycle_released_refcnt = 0;
  // tracepoints
  std::uint64_t page_pool_state_hold = 0;
  std::uint64_t page_pool_state_release = 0;
  std::uint64_t page_pool_release = 0;
  std::uint64_t page_pool_update_nid = 0;
  // not in the kernel
  std::uint64_t alloc_failed = 0;
  std::uint64_t ring_full_released = 0;   ///< pages released because the ring was full (PP-28)
  std::uint64_t ring_lock_transfers = 0;  ///< producer lock taken by another CPU than the last (PP-27)
  std::uint64_t dma_syncs = 0;
  std::uint64_t limit_refused = 0;   ///< slow-path calls refused by an absolute limit (PP-60)
  std::uint64_t pages_returned = 0;  ///< taken from the ring and released by a control loop (PP-61)

  PagePoolStats& operator+=(const PagePoolStats& other);
};

}  // namespace rxpool
