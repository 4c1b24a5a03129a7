#include "models/traffic/headers.hpp"

#include <bit>
#include <cstring>

#include "sim/error.hpp"

namespace rxpool {

namespace {

// Sums are taken over words as they lie in memory, in this machine's byte order: a checksum does not depend on it
// (RFC 1071), so that addresses and ports are added as they stand. Numbers are turned round before.
static_assert(std::endian::native == std::endian::little, "header bytes are turned round by bswap");

constexpr std::size_t udp_bytes = 8;
constexpr std::size_t tcp_bytes = 20;
constexpr std::uint8_t hop_limit = 64;

std::uint16_t network16(std::uint64_t value) {
  return __builtin_bswap16(static_cast<std::uint16_t>(value));
}
std::uint32_t network32(std::uint64_t value) {
  return __builtin_bswap32(static_cast<std::uint32_t>(value));
}

template <typename Number>
void put(std::byte* at, Number value) {
  std::memcpy(at, &value, sizeof value);
}
std::uint64_t word32(const std::uint8_t* at) {
  std::uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::uint64_t sum_words(const std::byte* at, std::size_t bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, at + i, sizeof word);
    sum += word;
  }
  return sum;
}

std::size_t ip_bytes(std::uint32_t ip_version) {
  return ip_version == 6 ? 40 : 20;
}
std::size_t transport_bytes(std::uint32_t protocol) {
  return protocol == protocol_tcp ? tcp_bytes : udp_bytes;
}

void write_ethernet(const HeaderFields& fields, std::byte* at) {
  // Locally administered addresses: 02:00:00:00:00:01 is the port, 02:00:00:01:xx:xx the sender.
  at[0] = std::byte{0x02};
  at[5] = std::byte{0x01};
  at[6] = std::byte{0x02};
  at[9] = std::byte{0x01};
  put(at + 10, network16(fields.source));
  std::byte* type = at + 12;
  if (fields.tagged) {
    put(type, network16(0x8100));
    put(type + 2, network16(fields.vlan));
    type += vlan_tag_bytes;
  }
  put(type, network16(fields.ip_version == 6 ? 0x86dd : 0x0800));
}

void write_ip(const HeaderFields& fields, std::byte* at) {
  if (fields.ip_version == 6) {
    at[0] = std::byte{0x60};
    at[6] = std::byte{fields.protocol};
    at[7] = std::byte{hop_limit};
    return;
  }
  constexpr std::uint16_t do_not_fragment = 0x4000;
  at[0] = std::byte{0x45};
  put(at + 6, network16(do_not_fragment));
  at[8] = std::byte{hop_limit};
  at[9] = std::byte{fields.protocol};
}

void write_tcp(const HeaderFields& fields, std::byte* at) {
  constexpr std::uint32_t acknowledged = 1;
  constexpr std::uint16_t window = 0xffff;
  put(at + 8, network32(acknowledged));
  at[12] = std::byte{0x50};  // five words
  at[13] = std::byte{fields.tcp_flags};
  put(at + 14, network16(window));
}

}  // namespace

std::size_t header_bytes(std::uint32_t ip_version, std::uint32_t protocol, bool tagged) {
  return ethernet_bytes + (tagged ? vlan_tag_bytes : 0) + ip_bytes(ip_version) + transport_bytes(protocol);
}

HeaderTemplate::HeaderTemplate(const HeaderFields& fields)
    : length_(header_bytes(fields.ip_version, fields.protocol, fields.tagged)),
      ip_at_(ethernet_bytes + (fields.tagged ? vlan_tag_bytes : 0)),
      transport_at_(ip_at_ + ip_bytes(fields.ip_version)),
      ipv6_(fields.ip_version == 6),
      tcp_(fields.protocol == protocol_tcp) {
  write_ethernet(fields, bytes_.data());
  write_ip(fields, bytes_.data() + ip_at_);
  if (tcp_) write_tcp(fields, bytes_.data() + transport_at_);
  ip_sum_ = sum_words(bytes_.data() + ip_at_, transport_at_ - ip_at_);
  transport_sum_ = sum_words(bytes_.data() + transport_at_, length_ - transport_at_) + network16(fields.protocol);
}

template <bool ipv6>
inline void HeaderTemplate::write_all(const FlowKey& key, std::uint32_t frame_bytes, std::uint64_t sequence,
                                      std::byte* at) const {
  // Two stores of 32 bytes that overlap cover any length up to 64, one more the rest.
  constexpr std::size_t wide = 32;
  std::memcpy(at, bytes_.data(), wide);
  if (length_ > 2 * wide) std::memcpy(at + wide, bytes_.data() + wide, wide);
  std::memcpy(at + length_ - wide, bytes_.data() + length_ - wide, wide);

  const std::size_t ip_length = frame_bytes - fcs_bytes - ip_at_;
  std::byte* const ip = at + ip_at_;
  std::uint64_t addresses = 0;
  for (std::size_t i = 0; i < (ipv6 ? 32u : 8u); i += 4) {
    addresses += word32(key.bytes.data() + i);
  }
  if (ipv6) {
    put(ip + 4, network16(ip_length - 40));
    std::memcpy(ip + 8, key.bytes.data(), 32);
  } else {
    const std::uint16_t length = network16(ip_length);
    const std::uint16_t identification = network16(sequence);
    put(ip + 2, length);
    put(ip + 4, identification);
    put(ip + 10, checksum_finish(ip_sum_ + addresses + length + identification));
    std::memcpy(ip + 12, key.bytes.data(), 8);
  }

  std::byte* const transport = at + transport_at_;
  const std::uint8_t* const ports = key.bytes.data() + (ipv6 ? 32 : 8);
  const std::uint16_t length = network16(frame_bytes - fcs_bytes - transport_at_);
  // Pseudo-header (RFC 793, 768, 8200): addresses, protocol, length. The payload is zeros and adds nothing.
  const std::uint64_t sum = transport_sum_ + addresses + word32(ports) + length;
  std::memcpy(transport, ports, 4);
  if (tcp_) {
    const std::uint32_t number = network32(sequence * (frame_bytes - fcs_bytes - length_));
    put(transport + 4, number);
    put(transport + 16, checksum_finish(sum + number));
  } else {
    const std::uint16_t checksum = checksum_finish(sum + length);
    put(transport + 4, length);
    put(transport + 6, checksum == 0 ? std::uint16_t{0xffff} : checksum);  // 0 would mean that there is none
  }
}

/// Of headers that fit.
inline void HeaderTemplate::write_all(const FlowKey& key, std::uint32_t frame_bytes, std::uint64_t sequence,
                                      std::byte* at) const {
  if (ipv6_) {
    write_all<true>(key, frame_bytes, sequence, at);
  } else {
    write_all<false>(key, frame_bytes, sequence, at);
  }
}

std::size_t HeaderTemplate::write(const FlowKey& key, std::uint32_t frame_bytes, std::uint64_t sequence,
                                  std::span<std::byte> out) const {
  if (out.size() >= length_) {
    write_all(key, frame_bytes, sequence, out.data());
    return length_;
  }
  std::array<std::byte, longest> all;
  write_all(key, frame_bytes, sequence, all.data());
  std::memcpy(out.data(), all.data(), out.size());
  return out.size();
}

}  // namespace rxpool
