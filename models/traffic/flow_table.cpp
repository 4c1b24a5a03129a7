#include "models/traffic/flow_table.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "sim/error.hpp"
#include "sim/random.hpp"

namespace rxpool {

namespace {

std::uint32_t span_of(PortRange ports) {
  return static_cast<std::uint32_t>(ports.last - ports.first) + 1;
}

/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014: the finalizer.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

AddressRange range_of(const std::string& text, std::uint32_t ip_version, const char* default4, const char* default6) {
  // The IPv4 default left in place with ip_version 6 means "the default".
  const std::string chosen = ip_version == 6 && (text.empty() || text == default4) ? default6 : text;
  const auto range = parse_address_range(chosen);
  ensure(range.has_value(), "address range was not validated");
  return *range;
}

std::uint64_t saturating_multiply(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t most = std::uint64_t{1} << 63;
  return a == 0 || b == 0 || a > most / b ? most : a * b;  // 0 stands for 2^64 addresses
}

/// Set of flow numbers by key, open addressing, at most half full.
class KeySet {
 public:
  KeySet(const std::vector<FlowKey>& keys, std::size_t capacity)
      : keys_(keys), slots_(std::bit_ceil(2 * capacity), empty) {}

  /// False if an equal key is there already; otherwise number `flow` will have it.
  bool insert(const FlowKey& key, std::uint32_t flow) {
    std::array<std::uint64_t, sizeof(FlowKey) / sizeof(std::uint64_t)> words{};
    std::memcpy(words.data(), &key, sizeof(key));
    std::uint64_t hash = 0;
    for (const std::uint64_t word : words) hash = mix(hash ^ word);
    for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at] == empty) {
        slots_[at] = flow;
        return true;
      }
      if (keys_[slots_[at]] == key) {
        return false;
      }
    }
  }

 private:
  static constexpr std::uint32_t empty = 0xffffffff;
  const std::vector<FlowKey>& keys_;
  std::vector<std::uint32_t> slots_;
};

}  // namespace

AddressRange source_range(const FlowParams& params) {
  return range_of(params.sources, params.ip_version, "198.18.0.0/16", "2001:2:0:1::/64");
}

AddressRange destination_range(const FlowParams& params) {
  return range_of(params.destinations, params.ip_version, "198.19.0.1/32", "2001:2:0:2::1/128");
}

std::uint64_t distinct_keys(const FlowParams& params) {
  return saturating_multiply(saturating_multiply(source_range(params).count(), destination_range(params).count()),
                             std::uint64_t{span_of(params.source_ports)} * span_of(params.destination_ports));
}

FlowTable::FlowTable(const FlowParams& params, std::uint64_t seed, std::uint32_t replication, std::string_view name)
    : sources_(source_range(params)),
      destinations_(destination_range(params)),
      source_ports_(params.source_ports),
      destination_ports_(params.destination_ports),
      protocol_(static_cast<std::uint8_t>(params.protocol)),
      vlan_(params.vlan != 0) {
  RandomStream random(seed, replication, std::string(name) + "/flow_keys");
  const std::uint32_t count = params.addresses == AddressKind::per_packet ? 1 : params.count;
  const std::uint64_t distinct = distinct_keys(params);
  keys_.reserve(count);
  if (distinct < 2 * std::uint64_t{count}) {
    // Most of the ranges are wanted: shuffle all their keys (Fisher-Yates) and take the first.
    std::vector<std::uint32_t> numbers(distinct);
    for (std::uint32_t i = 0; i < distinct; ++i) {
      numbers[i] = i;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      std::swap(numbers[i], numbers[i + random.bounded(static_cast<std::uint32_t>(distinct) - i)]);
      std::uint64_t rest = numbers[i];
      const std::uint64_t source_port = rest % span_of(source_ports_);
      rest /= span_of(source_ports_);
      const std::uint64_t destination_port = rest % span_of(destination_ports_);
      rest /= span_of(destination_ports_);
      keys_.push_back(make(rest % sources_.count(), rest / sources_.count(), static_cast<std::uint32_t>(source_port),
                           static_cast<std::uint32_t>(destination_port)));
    }
    return;
  }
  KeySet seen(keys_, count);
  while (keys_.size() < count) {
    const std::uint64_t source = random.next_u64();
    const std::uint64_t destination = random.next_u64();
    const std::uint32_t source_port = random.bounded(span_of(source_ports_));
    const FlowKey key = make(source, destination, source_port, random.bounded(span_of(destination_ports_)));
    if (seen.insert(key, static_cast<std::uint32_t>(keys_.size()))) {
      keys_.push_back(key);
    }
  }
}

FlowKey FlowTable::make(std::uint64_t source_host, std::uint64_t destination_host, std::uint32_t source_port,
                        std::uint32_t destination_port) const {
  FlowKey key;
  key.ip_version = sources_.ip_version;
  key.protocol = protocol_;
  key.has_ports = true;
  key.vlan = vlan_ ? 1 : 0;
  const std::size_t address = sources_.bytes();
  sources_.write(source_host, key.bytes.data());
  destinations_.write(destination_host, key.bytes.data() + address);
  const std::uint32_t from = source_ports_.first + source_port;
  const std::uint32_t to = destination_ports_.first + destination_port;
  std::uint8_t* const ports = key.bytes.data() + 2 * address;
  ports[0] = static_cast<std::uint8_t>(from >> 8);
  ports[1] = static_cast<std::uint8_t>(from);
  ports[2] = static_cast<std::uint8_t>(to >> 8);
  ports[3] = static_cast<std::uint8_t>(to);
  return key;
}

FlowKey FlowTable::spoofed(std::uint64_t variant) const {
  // Three independent-looking numbers from one: hosts from the number and its mix, ports from the mix of the mix.
  const std::uint64_t second = mix(variant);
  const std::uint64_t third = mix(second);
  return make(variant, second, static_cast<std::uint32_t>((third & 0xffffffff) * span_of(source_ports_) >> 32),
              static_cast<std::uint32_t>((third >> 32) * span_of(destination_ports_) >> 32));
}

}  // namespace rxpool
