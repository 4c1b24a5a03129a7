#pragma once
// Half-page flip (ixgbe, i40e, mlx4): a page holds two buffers; after one half went up the stack the driver goes on
// with the other, if by then nobody but it holds the page. Rules DR-20 to DR-22. The driver's pagecnt_bias is folded
// into the page's reference count: one for the driver, one per half that an skb holds.

#include <cstdint>
#include <vector>

#include "models/memory/page_allocator.hpp"
#include "models/nic/rx_buffers.hpp"
#include "models/nic/slot_refill.hpp"

namespace rxpool {

struct FlipBuffersParams {
  std::uint32_t threshold = 16;    ///< missing slots that start a refill
  std::uint32_t unit = 16;         ///< slots that make one step of the refill
  std::uint32_t truesize = 2304;   ///< bytes
  bool repoll_on_failure = false;  ///< i40e polls again at once; ixgbe and mlx4 wait for the next poll
};

class FlipBuffers final : public RxBuffers {
 public:
  FlipBuffers(const FlipBuffersParams& params, PageAllocator& allocator, std::uint32_t ring_size);

  bool fill(MemoryContext& context, RxRing& ring) override;
  Refill refill(Core& core, RxRing& ring) override;
  PageId take(Core& core, RxRing& ring, std::uint32_t slot) override;
  Reach reach(const MemoryContext&, const RxRing& ring, std::uint32_t slot) const override {
    // Only an skb's share of the page can be given back by somebody else.
    return allocator_.page(ring.page_of(slot)).refcount == 1 ? Reach::cpu : Reach::group;
  }
  void drop(Core& core, RxRing& ring, std::uint32_t slot) override;
  bool drops_for_free() const override { return false; }

  void put(MemoryContext& context, PageId page) override;
  bool put_is_private(const MemoryContext&, PageId) const override { return false; }
  bool put_may_touch_zone(const MemoryContext& context, PageId page) const override {
    return allocator_.page(page).refcount == 1 && allocator_.put_may_touch_zone(context.cpu, page);
  }

  std::uint32_t truesize() const override { return params_.truesize; }
  std::uint32_t posted() const override { return posted_; }
  std::uint32_t held() const override { return held_; }

 private:
  /// Puts a page into the slot; false when memory is short.
  bool next_page(MemoryContext& context, RxRing& ring, std::uint32_t slot);
  /// ixgbe_reuse_rx_page: that half of the page serves the next slot that is refilled.
  void reuse(BufferId half);

  FlipBuffersParams params_;
  PageAllocator& allocator_;
  std::vector<BufferId> reusable_;  ///< ring of halves waiting for a slot (next_to_alloc)
  std::uint32_t reusable_head_ = 0;
  std::uint32_t reusable_count_ = 0;
  std::uint32_t posted_ = 0;  ///< pages the driver holds: in slots or waiting for one
  std::uint32_t held_ = 0;    ///< pages that only skbs hold
  SlotRefill refill_;
};

}  // namespace rxpool
