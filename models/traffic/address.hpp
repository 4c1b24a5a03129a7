#pragma once
// A range of IP addresses written as a prefix ("198.18.0.0/15", "2001:2::/48"), and how one of its addresses is picked.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rxpool {

struct AddressRange {
  std::uint8_t ip_version = 4;
  std::uint8_t host_bits = 0;              ///< free low bits, at most 64 of them are ever used
  std::array<std::uint8_t, 16> network{};  ///< network byte order; the first 4 bytes for IPv4

  std::size_t bytes() const { return ip_version == 6 ? 16 : 4; }
  /// Number of addresses, 0 when there are 2^64 or more.
  std::uint64_t count() const { return host_bits >= 64 ? 0 : std::uint64_t{1} << host_bits; }
  /// Writes the address whose host part is the low bits of `host`.
  void write(std::uint64_t host, std::uint8_t* out) const {
    const std::uint64_t masked = host_bits >= 64 ? host : host & ((std::uint64_t{1} << host_bits) - 1);
    const std::size_t length = bytes();
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t from_end = length - 1 - i;
      out[i] = static_cast<std::uint8_t>(network[i] | (from_end < 8 ? masked >> (8 * from_end) & 0xff : 0));
    }
  }
};

/// Nothing if the text is not an address with an optional prefix length, or has bits set behind the prefix.
std::optional<AddressRange> parse_address_range(std::string_view text);

}  // namespace rxpool
