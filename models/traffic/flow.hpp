#pragma once
// What identifies a flow: the bytes that a NIC hashes (RS-2) and the layers present. Addresses and ports lie in network
// byte order, contiguous, so that a Toeplitz hash or an ntuple rule reads them as they stand on the wire.

#include <array>
#include <cstdint>
#include <span>

#include "models/packet.hpp"

namespace rxpool {

/// Bits of Packet::flags.
namespace packet_flag {
inline constexpr std::uint8_t own_key = 1;   ///< addresses or ports differ per packet: Source::key(), not flow_key()
inline constexpr std::uint8_t fragment = 2;  ///< IP fragment: NICs hash its addresses only (RS-13)
inline constexpr std::uint8_t segment = 4;   ///< Frame::variant is a TcpSegment, its sender waits for an answer
}  // namespace packet_flag

inline constexpr std::uint8_t protocol_tcp = 6;
inline constexpr std::uint8_t protocol_udp = 17;

struct FlowKey {
  /// source address, destination address, source port, destination port: 12 bytes for IPv4, 36 for IPv6 (RS-2).
  std::array<std::uint8_t, 36> bytes{};
  std::uint8_t ip_version = 0;  ///< 4, 6, or 0 when not IP: nothing to hash
  std::uint8_t protocol = 0;    ///< IP protocol number; ports are 0 unless TCP or UDP
  bool has_ports = false;       ///< TCP or UDP, and not a fragment
  std::uint8_t vlan = 0;        ///< 1 when the frame carries an 802.1Q tag

  std::size_t address_bytes() const { return ip_version == 6 ? 32 : ip_version == 4 ? 8 : 0; }
  std::span<const std::uint8_t> addresses() const { return {bytes.data(), address_bytes()}; }
  std::span<const std::uint8_t> addresses_and_ports() const {
    return {bytes.data(), address_bytes() + (has_ports ? 4 : 0)};
  }
  std::uint16_t port(std::size_t at) const {
    return static_cast<std::uint16_t>(bytes[address_bytes() + at] << 8 | bytes[address_bytes() + at + 1]);
  }
  std::uint16_t source_port() const { return has_ports ? port(0) : std::uint16_t{0}; }
  std::uint16_t destination_port() const { return has_ports ? port(2) : std::uint16_t{0}; }

  bool operator==(const FlowKey&) const = default;
};
static_assert(sizeof(FlowKey) == 40);

}  // namespace rxpool
