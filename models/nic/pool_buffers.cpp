#include "models/nic/pool_buffers.hpp"

#include <algorithm>
#include <bit>

namespace rxpool {

PoolBuffers::PoolBuffers(const PoolBuffersParams& params, PagePool& pool, PageAllocator& allocator,
                         std::uint32_t ring_size)
    : params_(params), pool_(pool), allocator_(allocator), used_(std::bit_ceil(ring_size)) {
  ensure(ring_size % params_.slots_per_page == 0 && params_.unit % params_.slots_per_page == 0,
         "pool_buffers: a page would straddle the end of the ring");
}

bool PoolBuffers::fill(MemoryContext& context, RxRing& ring) {
  const std::uint32_t slots = ring.missing();
  const std::uint32_t got = replace_unit(context, ring, 0, slots) * params_.slots_per_page;
  ring.post(std::min(slots, got), Time{0});
  return got >= slots;
}

bool PoolBuffers::unit_may_touch_zone(std::uint32_t pages) const {
  // Slots whose packets went to skbs may bring nothing back; the others surely come to the cache or the ring.
  const std::uint32_t coming_back = pages - std::min(pages, taken_);
  const std::uint32_t at_hand =
      pool_.cache_count() + pool_.ring_count() + (params_.release_at_refill ? coming_back : 0);
  const std::uint32_t spill = pool_.cache_count() + pages > pool_.parameters().constants.cache_size ? pages : 0;
  return at_hand < pages || pool_.ring_count() + spill + PtrRing::consumer_batch > pool_.ring().size();
}

void PoolBuffers::release_slot(MemoryContext& context, RxRing& ring, std::uint32_t slot) {
  const PageId page = ring.page_of(slot);
  if (page == no_page) return;
  // DR-10: the driver drops what is left of the bias; skbs that still hold shares bring the page home themselves.
  const std::int64_t rest = bias - used_[slot];
  shared_ -= used_[slot] != 0 ? 1 : 0;
  not_recyclable_ -= pool_.recyclable(page) ? 0 : 1;
  used_[slot] = 0;
  --posted_;
  if (pool_.unref(page, rest)) {
    pool_.put_unrefed_page(context, page, -1, true);
  } else {
    allocator_.page(page).place = PagePlace::stack;
  }
  ring.clear_page(slot);
}

/// Nothing of the ring went up the stack: the pages of the unit go through the cache and come back, last one first.
/// The same as release and allocation of each page, without looking at the pages.
bool PoolBuffers::exchange_unit(MemoryContext& context, RxRing& ring, std::uint32_t ahead, std::uint32_t slots) {
  if (shared_ != 0 || not_recyclable_ != 0 || posted_ * params_.slots_per_page != ring.size()) return false;
  if (!pool_.exchange(context, slots / params_.slots_per_page)) return false;
  ring.reverse_pages(ahead, slots, params_.slots_per_page);
  return true;
}

std::uint32_t PoolBuffers::replace_unit(MemoryContext& context, RxRing& ring, std::uint32_t ahead,
                                        std::uint32_t slots) {
  if (params_.release_at_refill && exchange_unit(context, ring, ahead, slots)) {
    return slots / params_.slots_per_page;
  }
  if (params_.release_at_refill) {
    for (std::uint32_t i = 0; i < slots; i += params_.slots_per_page) {
      release_slot(context, ring, ring.slot_ahead(ahead + i));
    }
  }
  std::uint32_t pages = 0;
  for (std::uint32_t i = 0; i < slots; i += params_.slots_per_page) {
    const PageId page = pool_.alloc(context);
    if (page == no_page) break;
    allocator_.page(page).place = PagePlace::posted;
    if (params_.release_at_refill || params_.slots_per_page > 1) pool_.fragment(page, bias);
    const std::uint32_t first = ring.slot_ahead(ahead + i);
    for (std::uint32_t k = 0; k < params_.slots_per_page; ++k) ring.set_page(ring.slot_ahead(ahead + i + k), page, k);
    used_[first] = 0;
    if (params_.release_at_refill) not_recyclable_ += pool_.recyclable(page) ? 0 : 1;
    ++posted_;
    ++pages;
  }
  return pages;
}

RxBuffers::Refill PoolBuffers::refill(Core& core, RxRing& ring) {
  if (!refilling_) {
    if (ring.missing() < std::max(1u, params_.threshold)) return Refill::done;
    refilling_ = true;
    refilled_ = 0;
    core.charge(Step::refill_bulk);
  }
  const std::uint32_t step = params_.whole_units ? params_.unit : params_.slots_per_page;
  const std::uint32_t target = ring.missing() / step * step;
  Refill result = Refill::done;
  while (refilled_ < target) {
    const std::uint32_t slots = std::min(params_.unit, target - refilled_);
    const std::uint32_t pages = slots / params_.slots_per_page;
    if (core.interrupt_due() || !core.may_step(EventClass::poll)) return Refill::waiting;
    if (unit_may_touch_zone(pages) && !core.may_touch_shared(EventClass::poll)) return Refill::waiting;
    const std::uint32_t got = replace_unit(core.memory(true), ring, refilled_, slots);
    core.charge_memory();
    core.charge(Step::refill_descriptor, got * params_.slots_per_page);
    refilled_ += got * params_.slots_per_page;
    if (got == pages) continue;

    ++stats_.alloc_fail;
    using OnFailure = PoolBuffersParams::OnFailure;
    if (params_.on_failure == OnFailure::roll_back_and_repoll || params_.on_failure == OnFailure::drop_unit_and_stop) {
      const std::uint32_t keep =
          params_.on_failure == OnFailure::roll_back_and_repoll ? 0 : refilled_ / params_.unit * params_.unit;
      MemoryContext& context = core.memory(true);
      for (std::uint32_t i = keep; i < refilled_; i += params_.slots_per_page)
        release_slot(context, ring, ring.slot_ahead(i));
      core.charge_memory();
      refilled_ = keep;
    }
    if (params_.on_failure == OnFailure::roll_back_and_repoll || params_.on_failure == OnFailure::keep_and_repoll) {
      result = Refill::repoll;
    }
    break;
  }
  refilling_ = false;
  if (refilled_ != 0) {
    core.charge(Step::doorbell);
    ring.post(refilled_, core.now() + params_.ready_after);
  }
  // Slots that could not be refilled keep what was taken from them.
  taken_ = std::min(taken_, ring.missing());
  return result;
}

PageId PoolBuffers::take(Core&, RxRing& ring, std::uint32_t slot) {
  ++taken_;
  const PageId page = ring.page_of(slot);
  if (params_.release_at_refill) {
    std::uint8_t& used = used_[slot / params_.slots_per_page * params_.slots_per_page];
    shared_ += used == 0 ? 1 : 0;
    ++used;
    return page;
  }
  // The slot gives the page away; with two slots the second one to go takes the rest of the bias along.
  ring.clear_page(slot);
  if (params_.slots_per_page == 1) {
    --posted_;
    allocator_.page(page).place = PagePlace::stack;
    return page;
  }
  const std::uint32_t first = slot / params_.slots_per_page * params_.slots_per_page;
  if (++used_[first] == params_.slots_per_page) {
    pool_.unref(page, bias - params_.slots_per_page);
    --posted_;
    allocator_.page(page).place = PagePlace::stack;
  }
  return page;
}

RxBuffers::Reach PoolBuffers::reach(const MemoryContext& context, const RxRing& ring, std::uint32_t slot) const {
  if (params_.release_at_refill) return Reach::cpu;
  const PageId page = ring.page_of(slot);
  if (pool_.next_put_may_touch_zone(context, page, true)) return Reach::zone;
  // Who takes the last share of a page brings it home.
  const bool shared_page = params_.slots_per_page > 1;
  return shared_page || pool_.next_put_may_touch_ring(context, page, true) ? Reach::group : Reach::cpu;
}

void PoolBuffers::drop(Core& core, RxRing& ring, std::uint32_t slot) {
  if (params_.release_at_refill) return;
  const PageId page = take(core, ring, slot);
  MemoryContext& context = core.memory(true);
  pool_.put_page(context, page, -1, true);
  core.charge_memory();
}

// From the oldest slot on: the next to be posted comes after all that are.
void PoolBuffers::give_back(MemoryContext& context, RxRing& ring) {
  const std::uint32_t per_page = params_.slots_per_page;
  for (std::uint32_t i = 0; i < used_.size(); i += per_page) {
    const std::uint32_t first = ring.slot_ahead(i);
    if (params_.release_at_refill) {
      release_slot(context, ring, first);
      continue;
    }
    // The first of two slots may be gone already.
    PageId page = ring.page_of(first);
    if (page == no_page) page = ring.page_of(first + per_page - 1);
    if (page == no_page) continue;
    --posted_;
    if (pool_.unref(page, per_page > 1 ? bias - used_[first] : 1)) {
      pool_.put_unrefed_page(context, page, -1, true);
    } else {
      allocator_.page(page).place = PagePlace::stack;
    }
  }
  ensure(posted_ == 0, "pool_buffers: a page of the ring was forgotten");
}

void PoolBuffers::put(MemoryContext& context, PageId page) {
  pool_.put_page(context, page, -1, false);
}

}  // namespace rxpool
