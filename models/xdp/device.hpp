#pragma once
// A network device as the target of a redirect: its transmit queues and what ndo_xdp_xmit refuses (XD-21, XD-51,
// XD-52).

#include <cstdint>
#include <string>
#include <vector>

namespace rxpool {

class TxQueue;

struct XdpDevice {
  std::string name;  ///< as in the scenario
  std::uint32_t ifindex = 0;
  std::uint32_t mtu = 1500;
  std::vector<TxQueue*> queues;  ///< one per channel
  bool shared_queues = false;    ///< fewer queues than CPUs: cpu modulo queues, under a lock; otherwise -ENXIO

  /// The queue that a CPU transmits on; null: -ENXIO.
  TxQueue* queue_of(std::uint16_t cpu) const {
    if (cpu < queues.size()) return queues[cpu];
    return shared_queues && !queues.empty() ? queues[cpu % queues.size()] : nullptr;
  }
  /// __xdp_ok_fwd_dev: without FCS it has to fit MTU, Ethernet header and a VLAN tag.
  bool fits(std::uint32_t frame_bytes) const { return frame_bytes - 4 <= mtu + 14 + 4; }
};

}  // namespace rxpool
