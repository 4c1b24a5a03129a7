#include "models/scenario/addresses.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <string>

namespace rxpool::scenario {
namespace {

std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t max) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Prefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  Prefix prefix;
  if (inet_pton(AF_INET, address.c_str(), prefix.bytes.data()) == 1) {
    prefix.ip_version = 4;
  } else if (inet_pton(AF_INET6, address.c_str(), prefix.bytes.data()) == 1) {
    prefix.ip_version = 6;
  } else {
    return std::nullopt;
  }
  prefix.length = prefix.ip_version == 4 ? 32 : 128;
  if (slash != std::string_view::npos) {
    const auto length = parse_number(text.substr(slash + 1), prefix.length);
    if (!length) return std::nullopt;
    prefix.length = *length;
  }
  return prefix;
}

std::optional<PortRange> parse_ports(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash), 65535);
  const auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), 65535);
  if (!first || !last || *last < *first) return std::nullopt;
  return PortRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

}  // namespace rxpool::scenario
