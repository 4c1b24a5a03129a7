#include "models/nic/fragment_buffers.hpp"

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

bool FragmentBuffers::put_buffer(MemoryContext& context, RxRing& ring, std::uint32_t slot) {
  const PageId page = next_buffer(context);
  if (page == no_page) return false;
  ring.set_page(slot, page, last_half());
  return true;
}

bool FragmentBuffers::fill(MemoryContext& context, RxRing& ring) {
  return SlotRefill::fill(context, ring,
                          [&](MemoryContext& at, std::uint32_t slot) { return put_buffer(at, ring, slot); });
}

RxBuffers::Refill FragmentBuffers::refill(Core& core, RxRing& ring) {
  if (!refill_.under_way() && ring.missing() <= params_.threshold) return Refill::done;
  return refill_.run(
      core, ring, params_.unit, stats_.alloc_fail, params_.repoll_on_failure,
      [&](std::uint32_t) { return core.may_touch_shared(EventClass::poll); },
      [&](MemoryContext& context, std::uint32_t slot) { return put_buffer(context, ring, slot); });
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
