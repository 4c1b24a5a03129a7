#include "models/nic/flip_buffers.hpp"

#include <bit>

namespace rxpool {
namespace {

/// DR-22: dev_alloc_pages.
constexpr Gfp dev_alloc = gfp::atomic | gfp::memalloc | gfp::nowarn;

}  // namespace

FlipBuffers::FlipBuffers(const FlipBuffersParams& params, PageAllocator& allocator, std::uint32_t ring_size)
    : params_(params), allocator_(allocator), reusable_(std::bit_ceil(ring_size)) {}

bool FlipBuffers::fill(MemoryContext& context, RxRing& ring) {
  return SlotRefill::fill(context, ring,
                          [&](MemoryContext& at, std::uint32_t slot) { return next_page(at, ring, slot); });
}

bool FlipBuffers::next_page(MemoryContext& context, RxRing& ring, std::uint32_t slot) {
  if (reusable_count_ != 0) {
    const BufferId half = reusable_[reusable_head_];
    ring.set_page(slot, half / 2, half % 2);
    reusable_head_ = (reusable_head_ + 1) & static_cast<std::uint32_t>(reusable_.size() - 1);
    --reusable_count_;
    return true;
  }
  const PageId page = allocator_.alloc_pages(context, dev_alloc, 0);
  if (page == no_page) return false;
  ring.set_page(slot, page);
  allocator_.page(page).place = PagePlace::posted;
  ++posted_;
  ++stats_.page_alloc;
  return true;
}

RxBuffers::Refill FlipBuffers::refill(Core& core, RxRing& ring) {
  if (!refill_.under_way() && ring.missing() < params_.threshold) return Refill::done;
  return refill_.run(
      core, ring, params_.unit, stats_.alloc_fail, params_.repoll_on_failure,
      [&](std::uint32_t slots) { return reusable_count_ >= slots || core.may_touch_shared(EventClass::poll); },
      [&](MemoryContext& context, std::uint32_t slot) { return next_page(context, ring, slot); });
}

void FlipBuffers::reuse(BufferId half) {
  reusable_[(reusable_head_ + reusable_count_++) & static_cast<std::uint32_t>(reusable_.size() - 1)] = half;
  ++stats_.page_reuse;
}

PageId FlipBuffers::take(Core&, RxRing& ring, std::uint32_t slot) {
  const PageId page = ring.page_of(slot);
  const BufferId other_half = ring.buffer_of(slot) ^ 1;
  ring.clear_page(slot);
  Page& record = allocator_.page(page);
  if (record.refcount == 1 && !record.pfmemalloc()) {
    ++record.refcount;
    reuse(other_half);
  } else {
    // DR-21: the other half is still up the stack. The skb gets the driver's reference.
    ++stats_.page_busy;
    --posted_;
    ++held_;
    record.place = PagePlace::stack;
  }
  return page;
}

void FlipBuffers::drop(Core&, RxRing& ring, std::uint32_t slot) {
  reuse(ring.buffer_of(slot));
  ring.clear_page(slot);
}

void FlipBuffers::put(MemoryContext& context, PageId page) {
  if (allocator_.page(page).refcount == 1) --held_;
  allocator_.put_page(context, page);
}

}  // namespace rxpool
