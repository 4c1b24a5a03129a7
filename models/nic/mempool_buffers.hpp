#pragma once
// RX buffers of a poll-mode driver: mbufs of a mempool that the application took at its start. An mbuf is in exactly
// one place: mempool, descriptor, or with the application and its transmit ring. Each receive burst replaces every mbuf
// that it takes and tells the NIC once (PM-2, PM-3). The mempool is the stack of one thread's cache: last in, first
// out. Leaves out: the ring behind the caches of several threads, two mbufs to a page, huge pages.

#include <vector>

#include "models/memory/page_allocator.hpp"
#include "models/nic/rx_buffers.hpp"

namespace rxpool {

class MempoolBuffers final : public RxBuffers {
 public:
  /// `put_price`: what giving one mbuf back costs.
  MempoolBuffers(std::uint32_t mbufs, Time put_price, PageAllocator& allocator)
      : mbufs_(mbufs), put_price_(put_price), allocator_(allocator) {}

  bool fill(MemoryContext& context, RxRing& ring) override;
  Refill refill(Core& core, RxRing& ring) override;
  PageId take(Core& core, RxRing& ring, std::uint32_t slot) override;
  void drop(Core& core, RxRing& ring, std::uint32_t slot) override;
  bool drops_for_free() const override { return false; }

  void put(MemoryContext& context, PageId page) override;
  bool put_is_private(const MemoryContext&, PageId) const override { return true; }
  bool put_may_touch_zone(const MemoryContext&, PageId) const override { return false; }
  bool puts_may_touch_zone(const MemoryContext&, std::uint32_t, bool) const override { return false; }

  std::uint32_t truesize() const override { return page_bytes; }
  std::uint32_t posted() const override { return posted_; }
  std::uint32_t held() const override { return mbufs_ - posted_ - available(); }
  /// rte_mempool_avail_count.
  std::uint32_t available() const { return static_cast<std::uint32_t>(free_.size()); }

 private:
  void post_one(RxRing& ring, std::uint32_t ahead);

  std::uint32_t mbufs_;
  Time put_price_;
  PageAllocator& allocator_;
  std::vector<PageId> free_;
  std::uint32_t posted_ = 0;
};

}  // namespace rxpool
