#pragma once
// Header bytes of a synthetic frame: Ethernet II, optional 802.1Q tag, IPv4 (no options) or IPv6, UDP or TCP (no
// options), with the checksums that hold for a payload of zeros. Built only when somebody reads the packet.

#include <cstddef>
#include <cstdint>
#include <span>

#include "models/traffic/flow.hpp"

namespace rxpool {

inline constexpr std::size_t ethernet_bytes = 14;
inline constexpr std::size_t vlan_tag_bytes = 4;
inline constexpr std::size_t fcs_bytes = 4;
/// Ethernet, tag, IPv6, TCP.
inline constexpr std::size_t longest_headers = ethernet_bytes + vlan_tag_bytes + 40 + 20;

struct FrameFields {
  std::uint32_t frame_bytes = 0;  ///< with FCS
  std::uint16_t vlan = 0;         ///< id; used when the key says that there is a tag
  std::uint16_t source = 0;       ///< index of the source: last bytes of the sender's MAC address
  std::uint64_t sequence = 0;     ///< IPv4 identification and TCP sequence number follow from it
  std::uint8_t tcp_flags = 0x10;
};

/// Bytes of all headers, so also the shortest frame without FCS.
std::size_t header_bytes(std::uint32_t ip_version, std::uint32_t protocol, bool vlan);

/// Writes as much as fits and returns how much that is.
std::size_t write_headers(const FrameFields& fields, const FlowKey& key, std::span<std::byte> out);

/// Internet checksum (RFC 1071): the running sum of 16-bit words in network byte order, and its folded complement.
std::uint64_t checksum_add(std::uint64_t sum, std::span<const std::uint8_t> bytes);
std::uint16_t checksum_finish(std::uint64_t sum);

}  // namespace rxpool
