#include "models/traffic/frame_parser.hpp"

#include <algorithm>

#include "models/traffic/headers.hpp"

namespace rxpool {

namespace {

std::uint32_t at16(std::span<const std::uint8_t> frame, std::size_t at) {
  return static_cast<std::uint32_t>(frame[at] << 8 | frame[at + 1]);
}

/// Ports, if they were captured and belong here.
void parse_transport(std::span<const std::uint8_t> frame, std::size_t at, bool first_fragment, ParsedFrame& parsed) {
  FlowKey& key = parsed.key;
  const bool has_ports = key.protocol == protocol_tcp || key.protocol == protocol_udp;
  const std::size_t length = key.protocol == protocol_tcp ? 20 : 8;
  if (!has_ports || !first_fragment || frame.size() < at + length) {
    return;
  }
  parsed.transport_at = at;
  if (!parsed.fragment) {  // RS-13: fragments, the first one included, count by addresses only
    key.has_ports = true;
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), 4, key.bytes.begin() + key.address_bytes());
  }
}

void parse_ipv4(std::span<const std::uint8_t> frame, std::size_t at, ParsedFrame& parsed) {
  if (frame.size() < at + 20 || frame[at] >> 4 != 4) {
    return;
  }
  parsed.ip_at = at;
  parsed.key.ip_version = 4;
  parsed.key.protocol = frame[at + 9];
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at) + 12, 8, parsed.key.bytes.begin());
  const std::uint32_t fragment = at16(frame, at + 6) & 0x3fff;  // more fragments, offset
  parsed.fragment = fragment != 0;
  parse_transport(frame, at + 4 * (frame[at] & 0x0fu), (fragment & 0x1fff) == 0, parsed);
}

void parse_ipv6(std::span<const std::uint8_t> frame, std::size_t at, ParsedFrame& parsed) {
  if (frame.size() < at + 40 || frame[at] >> 4 != 6) {
    return;
  }
  parsed.ip_at = at;
  parsed.key.ip_version = 6;
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at) + 8, 32, parsed.key.bytes.begin());
  std::uint8_t next = frame[at + 6];
  bool first_fragment = true;
  at += 40;
  while ((next == 0 || next == 43 || next == 44 || next == 60) && frame.size() >= at + 8) {
    const bool fragment = next == 44;
    parsed.fragment = parsed.fragment || fragment;
    first_fragment = first_fragment && !(fragment && (at16(frame, at + 2) & 0xfff8) != 0);
    next = frame[at];
    at += fragment ? 8 : 8 * (std::size_t{1} + frame[at + 1]);
  }
  parsed.key.protocol = next;
  parse_transport(frame, at, first_fragment, parsed);
}

}  // namespace

ParsedFrame parse_frame(std::span<const std::uint8_t> frame) {
  ParsedFrame parsed;
  std::size_t at = 12;
  for (int tag = 0; tag < 2 && frame.size() >= at + 6 && (at16(frame, at) == 0x8100 || at16(frame, at) == 0x88a8);
       ++tag) {
    parsed.key.vlan = 1;
    at += vlan_tag_bytes;
  }
  if (frame.size() >= at + 2) {
    const std::uint32_t type = at16(frame, at);
    if (type == 0x0800) {
      parse_ipv4(frame, at + 2, parsed);
    } else if (type == 0x86dd) {
      parse_ipv6(frame, at + 2, parsed);
    }
  }
  return parsed;
}

}  // namespace rxpool
