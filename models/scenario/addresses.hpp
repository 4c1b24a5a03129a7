#pragma once
// Addresses and ports as text: CIDR prefixes (IPv4, IPv6) and port ranges.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "models/traffic/params.hpp"

namespace rxpool::scenario {

struct Prefix {
  std::array<std::uint8_t, 16> bytes{};  ///< network byte order; IPv4 in the first four
  std::uint32_t length = 0;              ///< bits
  std::uint32_t ip_version = 4;
};

/// "198.18.0.0/16", "2001:2::/48" or one address; nothing when it is neither.
std::optional<Prefix> parse_prefix(std::string_view text);

/// "1024-65535" or "9"; nothing when it is no range or its end is before its start.
std::optional<PortRange> parse_ports(std::string_view text);

}  // namespace rxpool::scenario
