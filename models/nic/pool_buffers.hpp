#pragma once
// RX buffers from a page_pool. One page serves one or two slots; a page is released when its slots are refilled (mlx5,
// DR-11) or when its packet completes (ice, vmxnet3). Refill works in units; a unit that cannot be allocated whole is
// handled as the driver does (DR-14, DR-17).

#include <cstdint>
#include <vector>

#include "models/memory/page_allocator.hpp"
#include "models/memory/page_pool.hpp"
#include "models/nic/rx_buffers.hpp"

namespace rxpool {

struct PoolBuffersParams {
  enum class OnFailure : std::uint8_t {
    roll_back_and_repoll,  ///< mlx5 legacy: everything of this call is released (DR-14)
    drop_unit_and_stop,    ///< mlx5 striding: only the WQE at hand, no repoll (DR-17)
    keep_and_repoll,       ///< ice, i40e, virtio_net
    keep_and_stop,         ///< ixgbe, mlx4
  };
  std::uint32_t slots_per_page = 1;
  std::uint32_t threshold = 1;    ///< missing slots that start a refill
  std::uint32_t unit = 64;        ///< slots allocated together, a multiple of slots_per_page
  bool whole_units = false;       ///< a slot is usable only with its unit: striding WQEs (DR-15)
  std::uint32_t truesize = 0;     ///< bytes
  bool release_at_refill = true;  ///< DR-11
  OnFailure on_failure = OnFailure::roll_back_and_repoll;
  Time ready_after;  ///< posted slots become usable this much later (UMR completion, DR-16)
};

class PoolBuffers final : public RxBuffers {
 public:
  PoolBuffers(const PoolBuffersParams& params, PagePool& pool, PageAllocator& allocator, std::uint32_t ring_size);

  bool fill(MemoryContext& context, RxRing& ring) override;
  Refill refill(Core& core, RxRing& ring) override;
  PageId take(Core& core, RxRing& ring, std::uint32_t slot) override;
  Reach reach(const MemoryContext& context, const RxRing& ring, std::uint32_t slot) const override;
  void drop(Core& core, RxRing& ring, std::uint32_t slot) override;
  void give_back(MemoryContext& context, RxRing& ring) override;
  bool drops_for_free() const override { return params_.release_at_refill; }
  bool takes_for_free() const override { return params_.release_at_refill; }

  void put(MemoryContext& context, PageId page) override;
  bool put_is_private(const MemoryContext& context, PageId page) const override {
    return !pool_.shared(page) && !pool_.next_put_may_touch_ring(context, page, false);
  }
  bool put_may_touch_zone(const MemoryContext& context, PageId page) const override {
    return pool_.next_put_may_touch_zone(context, page, false);
  }
  void put_direct(MemoryContext& context, PageId page) override { pool_.put_page(context, page, -1, true); }
  bool from_pool() const override { return true; }
  bool puts_may_touch_zone(const MemoryContext& context, std::uint32_t count, bool direct) const override {
    return pool_.puts_may_touch_zone(context, count, direct);
  }

  std::uint32_t truesize() const override { return params_.truesize; }
  std::uint32_t posted() const override { return posted_; }
  std::uint32_t held() const override { return static_cast<std::uint32_t>(pool_.outside()) - posted_; }
  std::uint32_t inflight() const override { return static_cast<std::uint32_t>(pool_.inflight()); }
  PagePool& pool() { return pool_; }

 private:
  static constexpr std::int64_t bias = 64;  ///< MLX5E_PAGECNT_BIAS_MAX (DR-10)
  bool unit_may_touch_zone(std::uint32_t pages) const;
  /// Releases the old pages of a unit and takes new ones; how many pages were obtained.
  std::uint32_t replace_unit(MemoryContext& context, RxRing& ring, std::uint32_t ahead, std::uint32_t slots);
  bool exchange_unit(MemoryContext& context, RxRing& ring, std::uint32_t ahead, std::uint32_t slots);
  void release_slot(MemoryContext& context, RxRing& ring, std::uint32_t slot);

  PoolBuffersParams params_;
  PagePool& pool_;
  PageAllocator& allocator_;
  std::vector<std::uint8_t> used_;    ///< shares given to skbs, at the first slot of each page
  std::uint32_t posted_ = 0;          ///< pages in slots
  std::uint32_t taken_ = 0;           ///< shares given of slots not refilled yet, at most
  std::uint32_t shared_ = 0;          ///< pages in slots of which skbs got shares
  std::uint32_t not_recyclable_ = 0;  ///< pages in slots that the pool will not take back (PP-23)
  std::uint32_t refilled_ = 0;        ///< slots of the refill call in progress
  bool refilling_ = false;
};

}  // namespace rxpool
