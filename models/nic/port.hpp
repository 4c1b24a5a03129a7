#pragma once
// One NIC port:   wire -> steering (ntuple, RSS) -> packet buffer -> PCIe -> RX rings
//
// The port has no events. Packets are pulled from the wire in blocks, steered ahead, and carried through buffer and
// PCIe in exact time order over all queues when somebody asks how things stand at an instant (catch_up). Whether a
// packet finds a descriptor depends on what the queue's CPU does before: where that is not known yet, catch_up stops.
// Models: packet buffer overflow (rx_discards_phy), an empty ring (rx_out_of_buffer or the driver's name for it), PCIe
// as a FIFO server. Leaves out: flow control, several traffic classes, drivers whose NIC waits for a descriptor.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/journal.hpp"
#include "models/memory/llc.hpp"
#include "models/nic/llc_log.hpp"
#include "models/nic/pcie.hpp"
#include "models/nic/rx_buffer.hpp"
#include "models/nic/rx_ring.hpp"
#include "models/nic/steering.hpp"
#include "models/traffic/wire.hpp"
#include "sim/engine.hpp"

namespace rxpool {

struct PortParams {
  std::uint32_t queues = 0;
  std::uint32_t buffer_bytes = 0;
  PcieParams pcie;
  /// Rings are taken down while the host runs: no packet is given a descriptor before its transfer begins.
  bool rings_change = false;
};

struct PortStats {
  std::uint64_t rx_packets_phy = 0;  ///< frames received on the wire
  std::uint64_t rx_bytes_phy = 0;
  std::uint64_t rx_discards_phy = 0;  ///< packet buffer full
};

class Port {
 public:
  /// The port's view of one RX queue.
  struct Queue {
    RxRing* ring = nullptr;
    const Event* cpu = nullptr;  ///< whoever posts descriptors: known only up to its group's front
    std::uint64_t out_of_buffer = 0;
    std::uint64_t llc_cursor = 0;  ///< how far its CPU has come in the log of DMA writes
  };

  Port(const PortParams& params, Engine& engine, std::unique_ptr<Wire> wire, std::unique_ptr<Steering> steering,
       Llc& llc, Journal& journal);

  void set_queue(std::uint32_t index, RxRing& ring, const Event& cpu);
  Queue& queue(std::uint32_t index) { return queues_[index]; }

  /// Carries everything that arrives up to `to` as far as it is certain; returns the instant up to
  /// which all completions are known.
  Time catch_up(Time to) { return to <= known_ ? known_ : advance(to); }
  /// At the end of the run: books what has arrived by then and waits in the packet buffer for its transfer to begin.
  void close(Time end);
  std::uint64_t waiting() const { return waiting_; }
  Time known() const { return known_; }
  /// No completion of the queue beyond those it has can come before this instant, which is after known().
  Time next_completion_bound(std::uint32_t queue) const;

  /// Probability that the CPU's first read of the packet at `now` misses the LLC; counts the access.
  Probability read_miss(const Packet& packet, Time now, std::uint32_t queue) {
    if (packet.buffer == 0) return 0;
    return llc_.cpu_read(packet.buffer, llc_log_.at(now, queues_[queue].llc_cursor));
  }
  void read_second_line(Probability miss) { llc_.read_second_line(miss); }

  Wire& wire() { return *wire_; }
  Steering& steering() { return *steering_; }
  const PortStats& stats() const { return stats_; }

 private:
  Time advance(Time to);
  template <bool roomy, bool to_the_letter>
  bool carry_block(Time to);
  bool fetch(Time to);

  static constexpr std::size_t block_packets = 128;  // stays in the L1 cache between pulling and carrying

  Engine& engine_;
  bool rings_change_;
  Pcie pcie_;
  RxBuffer buffer_;
  std::unique_ptr<Wire> wire_;
  std::unique_ptr<Steering> steering_;
  Llc& llc_;
  LlcLog llc_log_;
  Journal& journal_;
  std::vector<Queue> queues_;
  std::vector<Packet> block_;
  std::uint32_t block_bytes_ = 0;
  std::array<Time, block_packets> leaves_;               ///< when the packets at hand leave the packet buffer
  std::array<Llc::DmaWrite, block_packets> dma_writes_;  ///< what the transfers at hand do to the cache
  std::size_t next_ = 0;
  std::size_t fetched_ = 0;
  Time fetched_until_{-1};
  Time known_{-1};
  Time pcie_free_{0};
  std::uint64_t waiting_ = 0;
  PortStats stats_;
};

}  // namespace rxpool
