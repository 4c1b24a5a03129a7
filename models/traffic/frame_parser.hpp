#pragma once
// Where the layers of a captured Ethernet frame lie: up to two VLAN tags, IPv4 with options, IPv6 with hop-by-hop,
// routing, destination and fragment headers, then TCP or UDP ports. Anything else is a frame without a flow of its own
// (FlowKey with ip_version 0, or without ports).

#include <cstddef>
#include <cstdint>
#include <span>

#include "models/traffic/flow.hpp"

namespace rxpool {

struct ParsedFrame {
  FlowKey key;
  bool fragment = false;
  std::size_t ip_at = 0;         ///< 0 when not IP
  std::size_t transport_at = 0;  ///< 0 when unknown, not TCP or UDP, or a fragment that is not the first
};

ParsedFrame parse_frame(std::span<const std::uint8_t> frame);

}  // namespace rxpool
