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

void write_ip(const FrameFields& fields, const FlowKey& key, std::size_t length, std::uint8_t* at) {
  constexpr std::uint8_t hop_limit = 64;
  if (key.ip_version == 6) {
    at[0] = 0x60;
    put16(at + 4, length - 40);
    at[6] = key.protocol;
    at[7] = hop_limit;
    std::memcpy(at + 8, key.bytes.data(), 32);
    return;
  }
  at[0] = 0x45;
  put16(at + 2, length);
  put16(at + 4, fields.sequence);
  put16(at + 6, 0x4000);  // do not fragment
  at[8] = hop_limit;
  at[9] = key.protocol;
  std::memcpy(at + 12, key.bytes.data(), 8);
  put16(at + 10, checksum_finish(checksum_add(0, {at, 20})));
}

void write_transport(const FrameFields& fields, const FlowKey& key, std::size_t length, std::uint8_t* at) {
  std::memcpy(at, key.bytes.data() + key.address_bytes(), 4);
  std::size_t checksum_at = 6;
  if (key.protocol == protocol_tcp) {
    put32(at + 4, fields.sequence * (length - 20));
    put32(at + 8, 1);
    at[12] = 5 << 4;
    at[13] = fields.tcp_flags;
    put16(at + 14, 0xffff);
    checksum_at = 16;
  } else {
    put16(at + 4, length);
  }
  // Pseudo-header (RFC 793, 768, 8200): addresses, protocol, length. The payload is zeros and adds nothing.
  std::uint64_t sum = checksum_add(key.protocol + length, key.addresses());
  sum = checksum_add(sum, {at, transport_bytes(key.protocol)});
  const std::uint16_t checksum = checksum_finish(sum);
  put16(at + checksum_at, key.protocol == protocol_udp && checksum == 0 ? 0xffff : checksum);
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
  std::array<std::uint8_t, longest_headers> bytes{};
  const std::size_t ip_at = ethernet_bytes + (key.vlan != 0 ? vlan_tag_bytes : 0);
  const std::size_t transport_at = ip_at + ip_bytes(key.ip_version);
  const std::size_t frame = fields.frame_bytes - fcs_bytes;
  write_ethernet(fields, key, bytes.data());
  write_ip(fields, key, frame - ip_at, bytes.data() + ip_at);
  write_transport(fields, key, frame - transport_at, bytes.data() + transport_at);
  const std::size_t length = std::min(out.size(), transport_at + transport_bytes(key.protocol));
  std::memcpy(out.data(), bytes.data(), length);
  return length;
}

}  // namespace rxpool
