#pragma once
// An AF_XDP socket with its umem, bound to one RX queue:
//
//     application -> FILL ring -> frames for packets -> RX ring -> application
//                                 | copy: xdp_do_redirect copies the packet into one, its page goes back at once
//                                 | zero-copy: they are the descriptors of the RX queue (models/nic/umem_buffers)
//
// Frames are pages of the application, taken once; no page_pool knows them. A frame is in exactly one place: FILL ring
// or the kernel's list, descriptor, RX ring, or with the application. Rules XD-40 to XD-44, XD-60 to XD-64. Leaves out:
// TX and COMPLETION ring, several sockets on one umem, chunks of another size than a page, packets in several frames.

#include <cstdint>
#include <string>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/memory/page_allocator.hpp"
#include "models/packet.hpp"
#include "models/xdp/xsk_ring.hpp"
#include "sim/gauge.hpp"

namespace rxpool {

struct XskParams {
  std::string name;  ///< component path
  bool zero_copy = false;
  bool need_wakeup = true;  ///< XDP_USE_NEED_WAKEUP
  std::uint32_t frames = 0;
  std::uint32_t fill_ring = 0;
  std::uint32_t rx_ring = 0;
};

/// getsockopt(XDP_STATISTICS), and what this end of it saw.
struct XskStats {
  std::uint64_t rx_dropped = 0;                ///< no frame for it, or longer than one
  std::uint64_t rx_ring_full = 0;              ///< RX ring full
  std::uint64_t rx_fill_ring_empty_descs = 0;  ///< times the FILL ring was found empty
  std::uint64_t received = 0;                  ///< packets put into the RX ring
  std::uint64_t wakeups = 0;                   ///< ndo_xsk_wakeup
};

class Xsk final {
 public:
  /// What the RX ring hands to the application.
  struct Descriptor {
    Packet packet;
    PageId frame = no_page;
  };
  /// The application, as the kernel's side sees it.
  class Reader {
   public:
    virtual ~Reader() = default;
    /// sock_def_readable: does it sleep until a packet comes? It is told that it need not wait any more.
    virtual bool data_ready() = 0;
    virtual Task& task() = 0;
  };
  /// The driver's side of the queue that it is bound to.
  class Driver {
   public:
    virtual ~Driver() = default;
    /// ndo_xsk_wakeup, from `by`.
    virtual void wake_up(Core& by) = 0;
  };

  explicit Xsk(const XskParams& params)
      : params_(params), fill_(params.fill_ring), rx_(params.rx_ring), rx_need_wakeup_(false) {}

  /// The application allocates its umem and puts as many frames into the FILL ring as it takes; false: no memory.
  bool populate(MemoryContext& context, PageAllocator& allocator);
  void set_reader(Reader& reader) { reader_ = &reader; }
  void set_driver(Driver& driver) { driver_ = &driver; }
  const XskParams& params() const { return params_; }

  // ---- The kernel's side, by the CPU of the RX queue; `now` is the instant that its step began at.
  /// Most bytes that a frame takes, behind its headroom.
  static constexpr std::uint32_t longest_packet = page_bytes - 256;
  /// xsk_buff_alloc: no_page when the FILL ring is empty.
  PageId allocate(Time now);
  /// Frames that the next allocations take before they look at the FILL ring.
  std::uint32_t reusable() const { return static_cast<std::uint32_t>(free_.size()); }
  void free(PageId frame) { free_.push_back(frame); }
  bool rx_full(Time now) const { return !rx_.has_room(now); }
  void receive(const Packet& packet, PageId frame) {
    rx_.produce({packet, frame});
    ++stats_.received;
  }
  /// xsk_flush, one step: shows what was received to the application and wakes it. False: others come first.
  bool flush(Core& core);
  /// xsk_set_rx_need_wakeup, xsk_clear_rx_need_wakeup.
  void set_rx_need_wakeup(bool needed, Time at) { rx_need_wakeup_.set(needed, at); }

  // ---- The application's side.
  XskRing<Descriptor>& rx() { return rx_; }
  XskRing<PageId>& fill() { return fill_; }
  /// Would the driver wait for ever for frames that are in the FILL ring? Then poll(2) has to wake it.
  bool rx_needs_wakeup(Time now) const { return rx_need_wakeup_.seen(now); }
  void wake_driver(Core& core) {
    ++stats_.wakeups;
    driver_->wake_up(core);
  }
  /// Frames that never fitted into the FILL ring.
  std::uint32_t spare() const { return spare_; }

  /// Frames by place, but for those in descriptors and in the application's hands.
  std::uint32_t frames_to_fill() const { return fill_.count() + reusable(); }
  std::uint32_t frames_received() const { return rx_.count(); }
  /// After a change of what waits in the RX ring.
  void observe(Time now) { depth_.set(now, rx_.count()); }
  Gauge& depth() { return depth_; }
  XskStats& stats() { return stats_; }
  const XskStats& stats() const { return stats_; }

 private:
  XskParams params_;
  XskRing<PageId> fill_;
  std::vector<PageId> free_;  ///< pool->free_list: frames that the kernel took and did not need; last in, first out
  XskRing<Descriptor> rx_;
  XskFlag rx_need_wakeup_;
  std::uint32_t spare_ = 0;
  Reader* reader_ = nullptr;
  Driver* driver_ = nullptr;
  Gauge depth_;
  XskStats stats_;
};

}  // namespace rxpool
