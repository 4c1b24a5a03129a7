#pragma once
// veth: no hardware ring and no memory of its own in it. The ptr_ring's 256 places take whatever the sender pushes; a
// page is taken from the queue's pool when a packet goes up the stack, and if there is none the packet is dropped.
// Rules DR-31, DR-32. Leaves out: several small packets per page, the sender's own page travelling up uncopied.

#include "models/memory/page_allocator.hpp"
#include "models/memory/page_pool.hpp"
#include "models/nic/rx_buffers.hpp"

namespace rxpool {

class CopyBuffers final : public RxBuffers {
 public:
  CopyBuffers(PagePool& pool, PageAllocator& allocator, std::uint32_t truesize)
      : pool_(pool), allocator_(allocator), truesize_(truesize) {}

  bool fill(MemoryContext&, RxRing& ring) override {
    ring.post(ring.missing(), Time{0});
    return true;
  }
  Refill refill(Core& core, RxRing& ring) override {
    if (ring.missing() != 0) ring.post(ring.missing(), core.now() + picoseconds(1));
    return Refill::done;
  }
  PageId take(Core& core, RxRing&, std::uint32_t) override {
    const PageId page = pool_.alloc(core.memory(true));
    core.charge_memory();
    if (page == no_page) {
      ++stats_.alloc_fail;
    } else {
      allocator_.page(page).place = PagePlace::stack;
    }
    return page;
  }
  /// The sender's own memory goes on.
  PageId take_frame(Core& /*core*/, RxRing& /*ring*/, std::uint32_t /*slot*/) override { return no_page; }
  Reach reach(const MemoryContext&, const RxRing&, std::uint32_t) const override {
    if (pool_.next_alloc_may_touch_zone()) return Reach::zone;
    return pool_.next_alloc_may_touch_ring() ? Reach::group : Reach::cpu;
  }
  void drop(Core&, RxRing&, std::uint32_t) override {}
  bool drops_for_free() const override { return true; }

  void put(MemoryContext& context, PageId page) override { pool_.put_page(context, page, -1, false); }
  bool put_is_private(const MemoryContext& context, PageId page) const override {
    return !pool_.next_put_may_touch_ring(context, page, false);
  }
  bool put_may_touch_zone(const MemoryContext& context, PageId page) const override {
    return pool_.next_put_may_touch_zone(context, page, false);
  }
  std::uint32_t truesize() const override { return truesize_; }
  std::uint32_t posted() const override { return 0; }
  std::uint32_t held() const override { return static_cast<std::uint32_t>(pool_.outside()); }
  std::uint32_t inflight() const override { return static_cast<std::uint32_t>(pool_.inflight()); }

 private:
  PagePool& pool_;
  PageAllocator& allocator_;
  std::uint32_t truesize_;
};

}  // namespace rxpool
