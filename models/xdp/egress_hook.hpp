#pragma once
// What runs where a frame meets a transmit ring: the egress program of the policy that sent it there
// (docs/policies.md), on the CPU that sends, which pays for it. It sees how full the ring is and may let the frame go,
// drop it, send it to another device, or ask the RX queue that the frame came from to back off (TX_OVERLOAD). No kernel
// has this hook. A frame meets it once; it sees the frame as it was received. Rules XD-70 to XD-72.

#include <cstdint>

#include "models/packet.hpp"
#include "models/xdp/program.hpp"

namespace rxpool {

class TxQueue;

class EgressHook {
 public:
  struct Ring {
    std::uint32_t ifindex = 0;  ///< 0: the device that the frame came in by
    std::uint32_t queue = 0;
    std::uint32_t fill = 0;  ///< descriptors in use
    std::uint32_t size = 0;
  };
  struct Verdict {
    XdpAction action = XdpAction::pass;  ///< pass, drop, redirect; others drop too
    Time cost{0};
    std::uint32_t backoff = 0;  ///< back off until the ring's fill is below this mark; 0: no
    XdpTarget target;           ///< with redirect: a device, or nothing that can be sent to
  };

  virtual ~EgressHook() = default;
  virtual Verdict leaves(const Packet& packet, const Ring& ring, std::uint16_t cpu, Time start) = 0;
};

/// What an egress program has asked an RX queue for.
struct EgressBackoff {
  const TxQueue* ring = nullptr;
  std::uint32_t mark = 0;
};

}  // namespace rxpool
