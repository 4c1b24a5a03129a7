#pragma once
// RX buffers cut from page fragments (virtio_net up to 7.0): blocks of 32 KiB give sixteen buffers of 2 KiB, falling
// back to single pages, and go back when the last of their buffers is freed. Kernel-model §4.5; skb_page_frag_refill.

#include <cstdint>

#include "models/memory/page_allocator.hpp"
#include "models/nic/rx_buffers.hpp"
#include "models/nic/slot_refill.hpp"

namespace rxpool {

struct FragmentBuffersParams {
  std::uint32_t threshold = 1;  ///< missing slots that start a refill
  std::uint32_t unit = 16;      ///< slots that make one step of the refill
  std::uint32_t buffer_bytes = 2048;
  std::uint32_t truesize = 2304;  ///< bytes
  bool repoll_on_failure = true;
};

class FragmentBuffers final : public RxBuffers {
 public:
  FragmentBuffers(const FragmentBuffersParams& params, PageAllocator& allocator)
      : params_(params), allocator_(allocator) {}

  bool fill(MemoryContext& context, RxRing& ring) override;
  Refill refill(Core& core, RxRing& ring) override;
  PageId take(Core& core, RxRing& ring, std::uint32_t slot) override;
  Reach reach(const MemoryContext& context, const RxRing& ring, std::uint32_t slot) const override {
    return put_may_touch_zone(context, ring.page_of(slot)) ? Reach::zone : Reach::group;
  }
  void drop(Core& core, RxRing& ring, std::uint32_t slot) override;
  bool drops_for_free() const override { return false; }

  void put(MemoryContext& context, PageId page) override;
  bool put_is_private(const MemoryContext&, PageId) const override { return false; }
  bool put_may_touch_zone(const MemoryContext& context, PageId page) const override {
    return allocator_.page(page).refcount == 1 && allocator_.put_may_touch_zone(context.cpu, page);
  }

  std::uint32_t truesize() const override { return params_.truesize; }
  /// In single pages: a block counts as posted until none of its buffers waits in the ring.
  std::uint32_t posted() const override { return blocks_pages_; }
  std::uint32_t held() const override { return 0; }

 private:
  static constexpr unsigned block_order = 3;  // SKB_FRAG_PAGE_ORDER
  /// Next buffer's block, with a reference for it; no_page when memory is short.
  PageId next_buffer(MemoryContext& context);
  /// That buffer into the slot; false when memory is short.
  bool put_buffer(MemoryContext& context, RxRing& ring, std::uint32_t slot);
  /// Where in its block that buffer begins.
  std::uint32_t last_half() const { return (offset_ - params_.buffer_bytes) / (page_bytes / 2); }
  void put_reference(MemoryContext& context, PageId page);

  FragmentBuffersParams params_;
  PageAllocator& allocator_;
  PageId block_ = no_page;  ///< being cut; holds one reference of its own
  std::uint32_t offset_ = 0;
  std::uint32_t blocks_pages_ = 0;
  SlotRefill refill_;
};

}  // namespace rxpool
