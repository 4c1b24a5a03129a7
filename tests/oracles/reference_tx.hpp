#pragma once
// The transmit side of the reference engine: a queue of frames per ring, one event per frame that is read over PCIe and
// one per frame that has left, one per completion. Pages go home sixteen at a time in the poll that owns the ring.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "models/journal.hpp"
#include "models/memory/page_pools.hpp"
#include "models/packet.hpp"
#include "tests/oracles/reference_cpu.hpp"
#include "tests/oracles/reference_ring.hpp"

namespace rxpool::reference {

struct Frame {
  Packet packet;
  Buffers* buffers = nullptr;
  PageId page = no_page;
};

/// PCIe and the wire, one frame after the other.
struct TxLink {
  struct Sent {
    Time leaves;
    bool lost;
  };
  Sent send(std::uint32_t bytes, Time from);

  Time pcie_packet{0};
  std::int64_t pcie_ps_per_byte = 0;
  Time latency{0};
  std::uint32_t mbps = 0;
  Time pcie_busy_until{0};
  Time wire_busy_until{0};
};

class TxRing {
 public:
  /// Set for rings that take redirected frames: pages of others, an interrupt of their own, perhaps a lock.
  struct Redirected {
    PagePools* pools = nullptr;
    bool locked = false;
    Time moderation{0};
    std::function<void()> completed;
  };
  TxRing(std::string of, std::uint32_t size, TxLink& link, EventQueue& events, std::uint32_t component,
         Journal& journal)
      : name(std::move(of)), size_(size), link_(link), events_(events), component_(component), journal_(journal) {}

  std::uint32_t size() const { return size_; }
  /// Descriptors in use.
  std::uint32_t fill() const { return static_cast<std::uint32_t>(written_.size() + sent_.size() + done_.size()); }
  bool full() const { return fill() >= size_; }
  void write(const Frame& frame) { written_.push_back(frame); }
  /// As many as there is room for; the lock is waited for.
  std::uint32_t xmit(Cpu& cpu, const std::vector<Frame>& frames);
  /// When the interrupt fires for what is complete.
  Time fires(Time armed) const {
    return done_bulks_.empty() ? Time::never() : std::max(armed, done_bulks_.front().at + redirected.moderation);
  }
  /// The doorbell is a step of its own, if there is anything to tell.
  Job doorbell(Cpu& cpu);
  bool has_completion() const { return !done_bulks_.empty(); }
  Job reap(Cpu& cpu);

  std::uint64_t not_left() const { return written_.size() + flying_; }
  template <typename Visit>
  void for_each_page(Visit&& visit) const {
    for (const auto* list : {&done_, &sent_, &written_}) {
      for (const Frame& frame : *list) visit(frame.page);
    }
  }
  const std::string name;
  Redirected redirected;
  std::uint64_t transmitted = 0, accepted = 0, full_calls = 0;

 private:
  std::uint32_t size_;
  TxLink& link_;
  EventQueue& events_;
  std::uint32_t component_;
  Journal& journal_;
  std::deque<Frame> written_;  ///< the NIC does not know of them yet
  std::deque<Frame> sent_;     ///< known to the NIC
  std::deque<Frame> done_;     ///< complete, not yet handled
  struct Done {
    std::uint32_t frames;
    Time at;
  };
  std::deque<Done> done_bulks_;  ///< completions
  Time lock_free_{0};
  std::uint64_t flying_ = 0;
};

}  // namespace rxpool::reference
