#include "models/nic/umem_buffers.hpp"

#include <algorithm>

namespace rxpool {
namespace {

constexpr std::uint32_t unit = 64;  // slots refilled in one step

}  // namespace

/// Frames of dropped packets go back to the kernel's list, from which they are the first to be taken again. How many
/// slots got one.
std::uint32_t UmemBuffers::replace(RxRing& ring, std::uint32_t ahead, std::uint32_t slots, Time now) {
  for (std::uint32_t i = 0; i < slots; ++i) {
    const std::uint32_t slot = ring.slot_ahead(ahead + i);
    const PageId frame = ring.page_of(slot);
    if (frame == no_page) continue;
    allocator_.page(frame).place = PagePlace::user_ring;
    xsk_.free(frame);
    ring.clear_page(slot);
    --posted_;
  }
  const std::uint32_t reused = std::min(slots, xsk_.reusable());
  std::uint32_t got = 0;
  for (; got < slots; ++got) {
    const PageId frame = xsk_.allocate(now);
    if (frame == no_page) break;
    allocator_.page(frame).place = PagePlace::posted;
    ring.set_page(ring.slot_ahead(ahead + got), frame);
    ++posted_;
  }
  if (got == reused && got != slots) ++xsk_.stats().rx_fill_ring_empty_descs;
  return got;
}

bool UmemBuffers::fill(MemoryContext&, RxRing& ring) {
  const std::uint32_t slots = ring.missing();
  const std::uint32_t got = replace(ring, 0, slots, Time{0});
  ring.post(got, Time{0});
  // A driver that finds too few frames when the socket is bound waits for more.
  xsk_.set_rx_need_wakeup(got != slots && xsk_.params().need_wakeup, Time{0});
  return true;
}

RxBuffers::Refill UmemBuffers::refill(Core& core, RxRing& ring) {
  const std::uint32_t missing = ring.missing();
  bool starved = false;
  if (refilling_ || missing >= threshold_) {
    if (!refilling_) {
      refilling_ = true;
      refilled_ = 0;
      core.charge(Step::refill_bulk);
    }
    while (refilled_ < missing && !starved) {
      if (core.interrupt_due() || !core.may_step(EventClass::poll)) return Refill::waiting;
      const std::uint32_t slots = std::min(unit, missing - refilled_);
      const std::uint32_t got = replace(ring, refilled_, slots, core.now());
      core.charge(Step::xsk_ring_get, got);
      core.charge(Step::refill_descriptor, got);
      refilled_ += got;
      starved = got != slots;
    }
    refilling_ = false;
    if (refilled_ != 0) {
      core.charge(Step::doorbell);
      ring.post(refilled_, core.now());
    }
  } else if (core.interrupt_due() || !core.may_step(EventClass::poll)) {
    return Refill::waiting;  // the flag is the application's business too
  }
  if (starved) ++stats_.alloc_fail;
  if (!xsk_.params().need_wakeup) return starved ? Refill::repoll : Refill::done;
  xsk_.set_rx_need_wakeup(starved, core.now());
  return Refill::done;
}

/// XD-42: for the stack or another device, a copy.
PageId UmemBuffers::take(Core& core, RxRing& ring, std::uint32_t /*slot*/) {
  MemoryContext& context = core.memory(true);
  const PageId page = allocator_.alloc_pages(context, gfp::atomic | gfp::nowarn, 0);
  core.charge_memory();
  if (page == no_page) return no_page;
  allocator_.page(page).place = PagePlace::stack;
  ++copies_;
  core.charge_bytes(Step::copy_to_user, ring.completion().frame_bytes);
  return page;
}

PageId UmemBuffers::hand_over(RxRing& ring, std::uint32_t slot) {
  const PageId frame = ring.page_of(slot);
  allocator_.page(frame).place = PagePlace::user_ring;
  ring.clear_page(slot);
  --posted_;
  return frame;
}

}  // namespace rxpool
