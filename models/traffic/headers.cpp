#include "models/traffic/headers.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace rxpool {

namespace {

void put16(std::uint8_t* at, std::uint64_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

void put32(std::uint8_t* at, std::uint64_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}

std::size_t ip_bytes(std::uint32_t ip_version) {
  return ip_version == 6 ? 40 : 20;
}
std::size_t transport_bytes(std::uint32_t protocol) {
  return protocol == protocol_tcp ? 20 : 8;
}

void write_ethernet(const FrameFields& fields, const FlowKey& key, std::uint8_t* at) {
  // Locally administered addresses: 02:00:00:00:00:01 is the port, 02:00:00:01:xx:xx the sender.
  at[0] = 0x02;
  at[5] = 0x01;
  at[6] = 0x02;
  at[9] = 0x01;
  put16(at + 10, fields.source);
  std::uint8_t* type = at + 12;
  if (key.vlan != 0) {
    put16(type, 0x8100);
    put16(type + 2, fields.vlan);
    type += vlan_tag_bytes;
  }
  put16(type, key.ip_version == 6 ? 0x86dd : 0x0800);
}

// Checksums are summed from the values, not read back: loads wider than the stores before them would stall.

void write_ip(const FrameFields& fields, const FlowKey& key, std::uint64_t address_sum, std::size_t length,
              std::uint8_t* at) {
  constexpr std::uint8_t hop_limit = 64;
  if (key.ip_version == 6) {
    at[0] = 0x60;
    put16(at + 4, length - 40);
    at[6] = key.protocol;
    at[7] = hop_limit;
    std::memcpy(at + 8, key.bytes.data(), 32);
    return;
  }
  constexpr std::uint64_t version_and_length = 0x4500;
  constexpr std::uint64_t do_not_fragment = 0x4000;
  const std::uint64_t identification = fields.sequence & 0xffff;
  const std::uint64_t hops_and_protocol = std::uint64_t{hop_limit} << 8 | key.protocol;
  put16(at, version_and_length);
  put16(at + 2, length);
  put16(at + 4, identification);
  put16(at + 6, do_not_fragment);
  put16(at + 8, hops_and_protocol);
  put16(at + 10, checksum_finish(version_and_length + length + identification + do_not_fragment + hops_and_protocol +
                                 address_sum));
  std::memcpy(at + 12, key.bytes.data(), 8);
}

void write_transport(const FrameFields& fields, const FlowKey& key, std::uint64_t address_sum, std::size_t length,
                     std::uint8_t* at) {
  const std::uint8_t* const ports = key.bytes.data() + key.address_bytes();
  std::memcpy(at, ports, 4);
  // Pseudo-header (RFC 793, 768, 8200): addresses, protocol, length. The payload is zeros and adds nothing.
  std::uint64_t sum = checksum_add(address_sum + key.protocol + length, {ports, 4});
  if (key.protocol == protocol_udp) {
    put16(at + 4, length);
    const std::uint16_t checksum = checksum_finish(sum + length);
    put16(at + 6, checksum == 0 ? 0xffff : checksum);  // 0 would mean that there is none
    return;
  }
  constexpr std::uint64_t acknowledged = 1;
  constexpr std::uint64_t window = 0xffff;
  const std::uint64_t sequence = fields.sequence * (length - 20) & 0xffffffff;
  const std::uint64_t length_and_flags = 0x5000 | fields.tcp_flags;
  put32(at + 4, sequence);
  put32(at + 8, acknowledged);
  put16(at + 12, length_and_flags);
  put16(at + 14, window);
  sum += (sequence >> 16) + (sequence & 0xffff) + acknowledged + length_and_flags + window;
  put16(at + 16, checksum_finish(sum));
}

/// All headers, into zeroed memory.
void write_all(const FrameFields& fields, const FlowKey& key, std::uint8_t* at) {
  const std::size_t ip_at = ethernet_bytes + (key.vlan != 0 ? vlan_tag_bytes : 0);
  const std::size_t transport_at = ip_at + ip_bytes(key.ip_version);
  const std::size_t frame = fields.frame_bytes - fcs_bytes;
  const std::uint64_t address_sum = checksum_add(0, key.addresses());
  write_ethernet(fields, key, at);
  write_ip(fields, key, address_sum, frame - ip_at, at + ip_at);
  write_transport(fields, key, address_sum, frame - transport_at, at + transport_at);
}

}  // namespace

std::uint64_t checksum_add(std::uint64_t sum, std::span<const std::uint8_t> bytes) {
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) {
    sum += static_cast<std::uint64_t>(bytes[i] << 8 | bytes[i + 1]);
  }
  return i < bytes.size() ? sum + static_cast<std::uint64_t>(bytes[i] << 8) : sum;
}

std::uint16_t checksum_finish(std::uint64_t sum) {
  while (sum >> 16 != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(~sum);
}

std::size_t header_bytes(std::uint32_t ip_version, std::uint32_t protocol, bool vlan) {
  return ethernet_bytes + (vlan ? vlan_tag_bytes : 0) + ip_bytes(ip_version) + transport_bytes(protocol);
}

std::size_t write_headers(const FrameFields& fields, const FlowKey& key, std::span<std::byte> out) {
  const std::size_t length = header_bytes(key.ip_version, key.protocol, key.vlan != 0);
  if (out.size() >= length) {
    std::memset(out.data(), 0, length);
    write_all(fields, key, reinterpret_cast<std::uint8_t*>(out.data()));
    return length;
  }
  std::array<std::uint8_t, longest_headers> bytes{};
  write_all(fields, key, bytes.data());
  std::memcpy(out.data(), bytes.data(), out.size());
  return out.size();
}

}  // namespace rxpool
