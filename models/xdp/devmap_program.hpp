#pragma once
// The program of a devmap entry (SEC("xdp/devmap")), run over the frames of a bulk queue before ndo_xdp_xmit (XD-21).

#include <cstdint>

#include "models/xdp/device.hpp"
#include "models/xdp/frame.hpp"
#include "models/xdp/program.hpp"

namespace rxpool {

class DevmapProgram {
 public:
  virtual ~DevmapProgram() = default;
  /// Keeps the bytes of the packet at hand, which the XDP program has just sent off; number for XdpFrame::kept.
  virtual std::uint32_t keep() = 0;
  /// On `cpu`, at `start`; each kept frame once. Anything but XDP_PASS drops the frame, which may have another length
  /// afterwards.
  virtual XdpVerdict run(XdpFrame& frame, const XdpDevice& to, std::uint16_t cpu, Time start) = 0;
};

}  // namespace rxpool
