#include "models/nic/mempool_buffers.hpp"

namespace rxpool {

void MempoolBuffers::post_one(RxRing& ring, std::uint32_t ahead) {
  const PageId mbuf = free_.back();
  free_.pop_back();
  allocator_.page(mbuf).place = PagePlace::posted;
  ring.set_page(ring.slot_ahead(ahead), mbuf);
  ++posted_;
}

bool MempoolBuffers::fill(MemoryContext& context, RxRing& ring) {
  free_.reserve(mbufs_);
  for (std::uint32_t i = 0; i < mbufs_; ++i) {
    const PageId mbuf = allocator_.alloc_pages(context, gfp::kernel | gfp::noretry, 0);
    if (mbuf == no_page) return false;
    allocator_.page(mbuf).place = PagePlace::user_ring;
    free_.push_back(mbuf);
  }
  const std::uint32_t slots = ring.missing();
  for (std::uint32_t i = 0; i < slots; ++i) post_one(ring, i);
  ring.post(slots, Time{0});
  return true;
}

/// The scenario sees to it that there are more mbufs than descriptors, send ring and burst can hold (PM-5).
RxBuffers::Refill MempoolBuffers::refill(Core& core, RxRing& ring) {
  const std::uint32_t slots = ring.missing();
  for (std::uint32_t i = 0; i < slots; ++i) post_one(ring, i);
  core.charge(Step::mempool_get, slots);
  core.charge(Step::refill_descriptor, slots);
  core.charge(Step::doorbell);
  ring.post(slots, core.now());
  return Refill::done;
}

PageId MempoolBuffers::take(Core& /*core*/, RxRing& ring, std::uint32_t slot) {
  const PageId mbuf = ring.page_of(slot);
  allocator_.page(mbuf).place = PagePlace::user_ring;
  ring.clear_page(slot);
  --posted_;
  return mbuf;
}

void MempoolBuffers::drop(Core& core, RxRing& ring, std::uint32_t slot) {
  put(core.memory(false), take(core, ring, slot));
  core.charge_memory();
}

void MempoolBuffers::put(MemoryContext& context, PageId page) {
  free_.push_back(page);
  context.cost += put_price_;
}

}  // namespace rxpool
