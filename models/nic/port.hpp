#pragma once
// One NIC port:   wire -> steering (ntuple, RSS) -> packet buffer -> PCIe -> RX rings
//
// The port has no events. Packets are pulled from the wire in blocks, steered ahead, and carried through buffer and
// PCIe in exact time order over all queues when somebody asks how things stand at an instant (catch_up). Whether a
// packet finds a descriptor depends on what the queue's CPU does before: where that is not known yet, catch_up stops.
// Models: packet buffer overflow (rx_discards_phy), an empty ring (rx_out_of_buffer or the driver's name for it), PCIe
// as a FIFO server. Leaves out: flow control, several traffic classes, drivers whose NIC waits for a descriptor.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/memory/llc.hpp"
#include "models/nic/pcie.hpp"
#include "models/nic/rx_buffer.hpp"
#include "models/nic/rx_ring.hpp"
#include "models/nic/steering.hpp"
#include "models/traffic/wire.hpp"
#include "sim/engine.hpp"
#include "sim/fingerprint.hpp"

namespace rxpool {

struct PortParams {
  std::uint32_t buffer_bytes = 0;
  PcieParams pcie;
};

struct PortStats {
  std::uint64_t rx_packets_phy = 0;   ///< frames received on the wire
  std::uint64_t rx_bytes_phy = 0;
  std::uint64_t rx_discards_phy = 0;  ///< packet buffer full
  std::uint64_t ntuple_drop = 0;      ///< dropped by a steering rule
};

/// Final verdicts of a packet, part of the fingerprint; the values are stable.
enum class Fate : std::uint32_t {
  discarded_phy = 1,
  out_of_buffer = 2,
  steering_drop = 3,
  xdp_aborted = 8,
  xdp_drop = 9,
  stack_drop = 16,
  delivered = 32,
};

class Port {
 public:
  /// The port's view of one RX queue.
  struct Queue {
    RxRing* ring = nullptr;
    const Event* cpu = nullptr;  ///< whoever posts descriptors: known only up to its group's front
    std::uint64_t out_of_buffer = 0;
  };

  Port(const PortParams& params, Engine& engine, std::unique_ptr<Wire> wire, std::unique_ptr<Steering> steering,
       Llc* llc);

  void set_queue(std::uint32_t index, RxRing& ring, const Event& cpu);
  Queue& queue(std::uint32_t index) { return queues_[index]; }

  /// Carries everything that arrives up to `to` as far as it is certain; returns the instant up to which all is known.
  Time catch_up(Time to) { return to <= known_ ? known_ : advance(to); }
  Time known() const { return known_; }
  /// Nothing can be completed for the queue before this; later than known() when the block at hand says so.
  Time next_arrival_after_known(std::uint32_t queue) const;

  Wire& wire() { return *wire_; }
  Steering& steering() { return *steering_; }
  const PortStats& stats() const { return stats_; }
  /// Frames in the packet buffer or on their way through PCIe at `now`, not yet completed.
  std::uint64_t lines_written() const { return written_; }
  void record_into(Fingerprint* fingerprint) { fingerprint_ = fingerprint; }

 private:
  Time advance(Time to);
  bool fetch(Time to);

  static constexpr std::size_t block_packets = 512;

  Engine& engine_;
  Pcie pcie_;
  RxBuffer buffer_;
  std::unique_ptr<Wire> wire_;
  std::unique_ptr<Steering> steering_;
  Llc* llc_;
  Fingerprint* fingerprint_ = nullptr;
  std::vector<Queue> queues_;
  std::vector<Packet> block_;
  std::size_t next_ = 0;
  std::size_t fetched_ = 0;
  Time fetched_until_{-1};
  Time known_{-1};
  Time pcie_free_{0};
  std::uint64_t written_ = 0;
  PortStats stats_;
};

}  // namespace rxpool
