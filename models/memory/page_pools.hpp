#pragma once
// All page_pools of the host: ids, creation, the per-CPU system pools, bulk return over several pools, and the detached
// pools that wait for their last pages. Rules: PP-5, PP-6, PP-30..33, PP-52..55; net/core/page_pool_user.c,
// net/core/page_pool.c:page_pool_put_netmem_bulk, net/core/dev.c:net_page_pool_create.
// Pool ids wrap at 65535 (31 bits in the kernel), so that they fit a page's record.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/memory/page_pool.hpp"

namespace rxpool {

inline constexpr std::uint32_t xdp_bulk_queue_size = 16;            ///< XDP_BULK_QUEUE_SIZE
inline constexpr std::uint32_t system_percpu_page_pool_size = 256;  ///< SYSTEM_PERCPU_PAGE_POOL_SIZE

class PagePools {
 public:
  explicit PagePools(PageAllocator& allocator) : allocator_(allocator) {}

  /// page_pool_create. The reference is valid until destroy() or retry() says that the pool is gone.
  PagePool& create(const PagePoolParameters& parameters);
  /// One system pool per CPU (§1.10): ring 256, direct on its own CPU.
  void create_system_pools();
  PagePool& system_pool(std::uint16_t cpu) { return *pools_[system_ids_[cpu]]; }

  /// page_pool_destroy; true when the pool is gone, otherwise retry() is due (see next_retry()).
  bool destroy(MemoryContext& ctx, PagePool& pool);
  /// Runs every release retry that is due at ctx.now.
  void retry(MemoryContext& ctx);
  /// Earliest due retry of a detached pool; Time::never() when there is none.
  Time next_retry() const;
  std::uint32_t detached_count() const { return static_cast<std::uint32_t>(detached_.size()); }

  /// What a pool has counted so far, also after it is gone (until 65535 more were made).
  const PagePoolStats& stats_of(std::uint16_t id) const {
    return pools_[id] != nullptr ? pools_[id]->stats : gone_[id];
  }

  PagePool* find(std::uint16_t id) { return id < pools_.size() ? pools_[id].get() : nullptr; }
  /// Live pools in the order of their ids.
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (auto& pool : pools_) {
      if (pool != nullptr) {
        visit(*pool);
      }
    }
  }

  /// The page comes home from an skb (napi_pp_put_page): no direct permission but what PP-21 finds.
  void put_page(MemoryContext& ctx, PageId page) { owner(page).put_page(ctx, page, -1, false); }
  /// page_pool_put_netmem_bulk (PP-31, PP-32). At most 16 pages; the array is scratch afterwards.
  void put_netmem_bulk(MemoryContext& ctx, std::span<PageId> pages);

 private:
  PagePool& owner(PageId page) {
    const std::uint16_t id = allocator_.page(page).pool;
    ensure(id != 0, "page_pools: page belongs to no pool");
    return *pools_[id];
  }
  std::uint16_t next_id();
  void erase(std::uint16_t id);

  PageAllocator& allocator_;
  std::vector<std::unique_ptr<PagePool>> pools_;  ///< index = id; 0 unused
  std::vector<PagePoolStats> gone_;               ///< index = id; of the pool that had it last
  std::vector<std::uint16_t> system_ids_;
  std::vector<std::uint16_t> detached_;
  std::uint16_t last_id_ = 0;
};

/// struct xdp_frame_bulk: collects the pages of XDP frames and returns 16 at a time (PP-30).
class XdpFrameBulk {
 public:
  void return_page(PagePools& pools, MemoryContext& ctx, PageId page) {
    if (count_ == xdp_bulk_queue_size) {
      flush(pools, ctx);
    }
    pages_[count_++] = page;
  }
  void flush(PagePools& pools, MemoryContext& ctx) {
    if (count_ != 0) {
      pools.put_netmem_bulk(ctx, std::span<PageId>(pages_, count_));
      count_ = 0;
    }
  }
  std::uint32_t count() const { return count_; }

 private:
  PageId pages_[xdp_bulk_queue_size] = {};
  std::uint32_t count_ = 0;
};

}  // namespace rxpool
