#pragma once
// RX buffers of a queue with a zero-copy AF_XDP socket (mlx5): descriptors are filled from the socket's FILL ring and
// the packets stay where DMA wrote them. A frame that XDP drops stays in its slot until the slot is refilled; a packet
// that goes anywhere but to the socket is copied to a page of its own, and its frame stays too. With need_wakeup a
// FILL ring that runs empty raises its flag and the driver waits for the application, otherwise it polls on. Rules
// XD-42, XD-62, XD-63.

#include "models/memory/page_allocator.hpp"
#include "models/nic/rx_buffers.hpp"
#include "models/xdp/xsk.hpp"

namespace rxpool {

class UmemBuffers final : public RxBuffers {
 public:
  UmemBuffers(Xsk& xsk, PageAllocator& allocator, std::uint32_t threshold)
      : xsk_(xsk), allocator_(allocator), threshold_(threshold) {}

  bool fill(MemoryContext& context, RxRing& ring) override;
  Refill refill(Core& core, RxRing& ring) override;
  PageId take(Core& core, RxRing& ring, std::uint32_t slot) override;
  /// The frame in `slot` goes to the socket.
  PageId hand_over(RxRing& ring, std::uint32_t slot);
  Reach reach(const MemoryContext&, const RxRing&, std::uint32_t) const override { return Reach::zone; }
  void drop(Core&, RxRing&, std::uint32_t) override {}
  bool drops_for_free() const override { return true; }

  void put(MemoryContext& context, PageId page) override {
    --copies_;
    allocator_.put_page(context, page);
  }
  bool put_is_private(const MemoryContext&, PageId) const override { return false; }
  bool put_may_touch_zone(const MemoryContext& context, PageId page) const override {
    return allocator_.put_may_touch_zone(context.cpu, page);
  }

  std::uint32_t truesize() const override { return page_bytes + 256; }
  std::uint32_t posted() const override { return posted_; }
  std::uint32_t held() const override { return copies_; }

 private:
  std::uint32_t replace(RxRing& ring, std::uint32_t ahead, std::uint32_t slots, Time now);

  Xsk& xsk_;
  PageAllocator& allocator_;
  std::uint32_t threshold_;
  std::uint32_t posted_ = 0;
  std::uint32_t copies_ = 0;  ///< pages of packets that went elsewhere
  std::uint32_t refilled_ = 0;
  bool refilling_ = false;
};

}  // namespace rxpool
