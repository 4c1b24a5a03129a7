#include "models/traffic/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace rxpool {

std::optional<AddressRange> parse_address_range(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  AddressRange range;
  range.ip_version = address.find(':') == std::string::npos ? 4 : 6;
  if (inet_pton(range.ip_version == 6 ? AF_INET6 : AF_INET, address.c_str(), range.network.data()) != 1) {
    return std::nullopt;
  }
  const unsigned all_bits = 8 * static_cast<unsigned>(range.bytes());
  unsigned prefix_bits = all_bits;
  if (slash != std::string_view::npos) {
    const std::string_view length = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), prefix_bits);
    if (error != std::errc{} || end != length.data() + length.size() || prefix_bits > all_bits) {
      return std::nullopt;
    }
  }
  for (unsigned bit = prefix_bits; bit < all_bits; ++bit) {
    if ((range.network[bit / 8] & (0x80 >> bit % 8)) != 0) {
      return std::nullopt;
    }
  }
  range.host_bits = static_cast<std::uint8_t>(all_bits - prefix_bits);
  return range;
}

}  // namespace rxpool
