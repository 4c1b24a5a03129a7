#include "models/nic/fragment_buffers.hpp"

#include <algorithm>

namespace rxpool {

PageId FragmentBuffers::next_buffer(MemoryContext& context) {
  if (block_ != no_page && offset_ + params_.buffer_bytes > page_bytes << allocator_.page(block_).order) {
    put_reference(context, block_);
    block_ = no_page;
  }
  if (block_ == no_page) {
    block_ = allocator_.alloc_pages(context, gfp::atomic | gfp::nowarn | gfp::noretry, block_order);
    if (block_ == no_page) block_ = allocator_.alloc_pages(context, gfp::atomic | gfp::nowarn, 0);
    if (block_ == no_page) return no_page;
    allocator_.page(block_).place = PagePlace::posted;
    blocks_pages_ += 1u << allocator_.page(block_).order;
    ++stats_.page_alloc;
    offset_ = 0;
  }
  offset_ += params_.buffer_bytes;
  allocator_.get_page(block_);
  return block_;
}

void FragmentBuffers::put_reference(MemoryContext& context, PageId page) {
  const Page& record = allocator_.page(page);
  if (record.refcount == 1) blocks_pages_ -= 1u << record.order;
  allocator_.put_page(context, page);
}

bool FragmentBuffers::fill(MemoryContext& context, RxRing& ring) {
  const std::uint32_t slots = ring.missing();
  std::uint32_t filled = 0;
  for (; filled < slots; ++filled) {
    const PageId page = next_buffer(context);
    if (page == no_page) break;
    ring.set_page(ring.slot_ahead(filled), page, last_half());
  }
  ring.post(filled, Time{0});
  return filled == slots;
}

RxBuffers::Refill FragmentBuffers::refill(Core& core, RxRing& ring) {
  if (!refilling_) {
    if (ring.missing() <= params_.threshold) return Refill::done;
    refilling_ = true;
    refilled_ = 0;
    core.charge(Step::refill_bulk);
  }
  const std::uint32_t target = ring.missing();
  bool failed = false;
  while (refilled_ < target && !failed) {
    const std::uint32_t slots = std::min(params_.unit, target - refilled_);
    if (core.interrupt_due() || !core.may_step(EventClass::poll) || !core.may_touch_shared(EventClass::poll)) {
      return Refill::waiting;
    }
    MemoryContext& context = core.memory(true);
    std::uint32_t got = 0;
    for (; got < slots; ++got) {
      const PageId page = next_buffer(context);
      if (page == no_page) break;
      ring.set_page(ring.slot_ahead(refilled_ + got), page, last_half());
    }
    core.charge_memory();
    core.charge(Step::refill_descriptor, got);
    refilled_ += got;
    failed = got != slots;
  }
  if (failed) ++stats_.alloc_fail;
  refilling_ = false;
  if (refilled_ != 0) {
    core.charge(Step::doorbell);
    ring.post(refilled_, core.now());
  }
  return failed && params_.repoll_on_failure ? Refill::repoll : Refill::done;
}

PageId FragmentBuffers::take(Core&, RxRing& ring, std::uint32_t slot) {
  const PageId page = ring.page_of(slot);
  ring.clear_page(slot);
  return page;
}

void FragmentBuffers::drop(Core& core, RxRing& ring, std::uint32_t slot) {
  const PageId page = take(core, ring, slot);
  put_reference(core.memory(true), page);
  core.charge_memory();
}

void FragmentBuffers::put(MemoryContext& context, PageId page) {
  put_reference(context, page);
}

}  // namespace rxpool
