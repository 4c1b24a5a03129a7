#pragma once
// The way out of one NIC: frames are read from host memory over PCIe and put on the wire, each a FIFO server over all
// TX queues of the NIC, in the order of their doorbells. PCIe is full duplex: what is received does not slow this down.
// Leaves out: the NIC's own arbitration between its queues, pause frames. Frames sent while the link is down are lost
// (tx_discards_phy) at the pace of PCIe, after those that were sent before.

#include <algorithm>
#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

struct TxLinkParams {
  std::int64_t pcie_ps_per_packet = 0;  ///< descriptor and data read, completion write
  std::int64_t pcie_ps_per_byte = 0;
  std::int64_t latency_ps = 0;  ///< from the last bit on the wire to the completion visible in memory
  std::uint32_t mbps = 0;       ///< 0: down
};

class TxLink {
 public:
  explicit TxLink(const TxLinkParams& params) : params_(params) {}

  /// Sends one frame whose descriptor the NIC knows of from `at` on; returns when its last bit has left.
  Time send(std::uint32_t frame_bytes, Time at) {
    pcie_free_ = std::max(at, pcie_free_) + Time{params_.pcie_ps_per_packet + params_.pcie_ps_per_byte * frame_bytes};
    if (params_.mbps == 0) return std::max(pcie_free_, wire_free_);  // behind what the wire still has
    wire_free_ = std::max(pcie_free_, wire_free_) + on_wire(frame_bytes);
    return wire_free_;
  }
  bool up() const { return params_.mbps != 0; }
  Time completion_latency() const { return Time{params_.latency_ps}; }
  /// ethtool -s speed, carrier; frames already handed to the NIC keep their instants.
  void set_link(std::uint32_t mbps) { params_.mbps = mbps; }

  /// Do CPUs of several coupling groups send here? Then a doorbell waits until it is the earliest of all.
  bool shared = false;

 private:
  Time on_wire(std::uint32_t frame_bytes) const {
    constexpr std::int64_t preamble_and_gap = 20;
    return Time{(frame_bytes + preamble_and_gap) * 8'000'000 / params_.mbps};
  }

  TxLinkParams params_;
  Time pcie_free_{0};
  Time wire_free_{0};
};

}  // namespace rxpool
