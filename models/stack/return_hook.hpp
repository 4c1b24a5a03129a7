#pragma once
// What runs when a packet's buffer goes home: the return program of a policy (docs/policies.md). Asked by whoever frees
// the skb, on the CPU that does, which pays for it. Leaves out buffers that never became an skb: drops and
// transmissions of the driver, redirected frames.

#include <cstdint>

#include "models/packet.hpp"
#include "sim/time.hpp"

namespace rxpool {

class ReturnHook {
 public:
  virtual ~ReturnHook() = default;
  /// First eight bytes of the metadata that the XDP program has left with the packet it has just passed; 0 without.
  virtual std::uint64_t cookie() const = 0;
  /// The stack's buffer of `packet` goes home at `now`; what the program costs.
  virtual Time returned(const Packet& packet, std::uint64_t cookie, std::uint16_t cpu, Time now) = 0;
};

}  // namespace rxpool
