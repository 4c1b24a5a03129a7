#pragma once
// The program of a cpumap entry (SEC("xdp/cpumap")), run on the remote CPU over each frame before its skb is built
// (XD-33).

#include <cstdint>

#include "models/packet.hpp"
#include "models/xdp/program.hpp"

namespace rxpool {

class CpumapProgram {
 public:
  virtual ~CpumapProgram() = default;
  /// On `cpu`, at `start`. Anything but XDP_PASS drops the frame: XDP_TX is not allowed there, and a further redirect
  /// is not modelled.
  virtual XdpVerdict run(const Packet& packet, std::uint16_t cpu, Time start) = 0;
};

}  // namespace rxpool
