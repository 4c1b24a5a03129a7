#pragma once
// PCIe between the NIC and memory as a server: bytes at a rate plus a fixed time per packet for descriptor and
// completion (with CQE compression several completions share one write). Transaction ordering is not modelled.

#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

struct PcieParams {
  std::int64_t ps_per_byte = 0;    ///< payload transfer
  std::int64_t ps_per_packet = 0;  ///< descriptor fetch and completion write
  std::int64_t latency_ps = 0;     ///< from the last byte sent to the completion visible in memory; pipelined
};

class Pcie {
 public:
  explicit Pcie(const PcieParams& params) : params_(params) {}
  Time service(std::uint32_t frame_bytes) const {
    return Time{params_.ps_per_packet + params_.ps_per_byte * frame_bytes};
  }
  Time latency() const { return Time{params_.latency_ps}; }

 private:
  PcieParams params_;
};

}  // namespace rxpool
