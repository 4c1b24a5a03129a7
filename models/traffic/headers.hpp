#pragma once
// Header bytes of a synthetic frame: Ethernet II, optional 802.1Q tag, IPv4 (no options) or IPv6, UDP or TCP (no
// options), with the checksums that hold for a payload of zeros. Built only when somebody reads the packet; what is the
// same for all frames of a sender, bytes and sums, is made once.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "models/traffic/flow.hpp"

namespace rxpool {

inline constexpr std::size_t ethernet_bytes = 14;
inline constexpr std::size_t vlan_tag_bytes = 4;
inline constexpr std::size_t fcs_bytes = 4;

/// What all frames of a sender have in common.
struct HeaderFields {
  std::uint32_t ip_version = 4;
  std::uint8_t protocol = protocol_udp;
  bool tagged = false;       ///< 802.1Q
  std::uint16_t vlan = 0;    ///< its id
  std::uint16_t source = 0;  ///< index of the source: last bytes of the sender's MAC address
  std::uint8_t tcp_flags = 0x10;
};

/// Bytes of all headers, so also the shortest frame without FCS.
std::size_t header_bytes(std::uint32_t ip_version, std::uint32_t protocol, bool tagged);

class HeaderTemplate {
 public:
  explicit HeaderTemplate(const HeaderFields& fields);

  /// Writes as much as fits and returns how much that is. `key` is of the sender's IP version and protocol;
  /// `frame_bytes` with FCS; IPv4 identification and TCP sequence number follow from `sequence`.
  std::size_t write(const FlowKey& key, std::uint32_t frame_bytes, std::uint64_t sequence,
                    std::span<std::byte> out) const;

 private:
  /// Ethernet, tag, IPv6, TCP.
  static constexpr std::size_t longest = ethernet_bytes + vlan_tag_bytes + 40 + 20;

  template <bool ipv6>
  void write_all(const FlowKey& key, std::uint32_t frame_bytes, std::uint64_t sequence, std::byte* at) const;
  void write_all(const FlowKey& key, std::uint32_t frame_bytes, std::uint64_t sequence, std::byte* at) const;

  std::array<std::byte, longest> bytes_{};  ///< with zeros where frames differ
  std::size_t length_;
  std::size_t ip_at_;
  std::size_t transport_at_;
  bool ipv6_;
  bool tcp_;
  std::uint64_t ip_sum_ = 0;         ///< of the IPv4 header in bytes_
  std::uint64_t transport_sum_ = 0;  ///< of the transport header in bytes_ and the protocol of the pseudo-header
};

/// Folds a sum of words, all in one byte order, and complements it (RFC 1071): the checksum in that byte order. Words
/// of 32 bits fold like their halves. No branches: they would be mispredicted at every second packet.
inline std::uint16_t checksum_finish(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);  // less than 2^33
  sum = (sum & 0xffff) + (sum >> 16);      // less than 2^18
  sum = (sum & 0xffff) + (sum >> 16);      // at most 0x10002
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace rxpool
