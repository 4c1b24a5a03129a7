#include "models/nic/steering.hpp"

#include <bit>
#include <utility>

#include "sim/error.hpp"

namespace rxpool {
namespace {

bool prefix_matches(const NtupleRule::Address& rule, std::span<const std::uint8_t> address) {
  for (std::size_t i = 0; i < address.size() && i * 8 < rule.prefix_bits; ++i) {
    const std::size_t bits = rule.prefix_bits - i * 8;
    const auto mask = static_cast<std::uint8_t>(bits >= 8 ? 0xff : 0xff << (8 - bits));
    if ((rule.bytes[i] ^ address[i]) & mask) return false;
  }
  return true;
}

}  // namespace

bool NtupleRule::matches(const FlowKey& key) const {
  const std::span<const std::uint8_t> addresses = key.addresses();
  const std::size_t half = addresses.size() / 2;
  if (source && (source->ip_version != key.ip_version || !prefix_matches(*source, addresses.first(half)))) return false;
  if (destination &&
      (destination->ip_version != key.ip_version || !prefix_matches(*destination, addresses.subspan(half)))) {
    return false;
  }
  if (ip_protocol && (key.ip_version == 0 || *ip_protocol != key.protocol)) return false;
  if (source_port && (!key.has_ports || *source_port != key.source_port())) return false;
  return !destination_port || (key.has_ports && *destination_port == key.destination_port());
}

Steering::Steering(SteeringParams params, std::vector<const Source*> sources)
    : params_(std::move(params)), toeplitz_(params_.key) {
  ensure(std::has_single_bit(params_.indirection.size()), "steering: indirection table is not a power of two");
  for (const Source* source : sources) {
    Lane& lane = lanes_.emplace_back();
    lane.source = source;
    lane.targets.resize(source->flow_count());
  }
  fill();
}

void Steering::fill() {
  for (Lane& lane : lanes_) {
    for (std::uint32_t flow = 0; flow < lane.targets.size(); ++flow) {
      lane.targets[flow] = target(lane.source->flow_key(flow));
    }
  }
}

void Steering::set_indirection(std::vector<std::uint16_t> indirection) {
  ensure(indirection.size() == params_.indirection.size(), "steering: indirection table of another size");
  params_.indirection = std::move(indirection);
  fill();
}

Steering::Target Steering::target(const FlowKey& key) const {
  Target target;
  const bool ports = key.has_ports && (key.protocol == protocol_udp   ? params_.hash_udp_ports
                                       : key.protocol == protocol_tcp ? params_.hash_tcp_ports
                                                                      : false);
  // Not IP: nothing to hash, hash 0 (RS-2).
  target.hash = ports ? toeplitz_.of_flow(key) : toeplitz_.of_addresses(key);
  target.queue = params_.indirection[target.hash & (params_.indirection.size() - 1)];
  target.destination_port = key.destination_port();
  for (const NtupleRule& rule : params_.rules) {
    if (rule.matches(key)) {
      target.queue = rule.queue.value_or(drop);
      break;
    }
  }
  return target;
}

void Steering::steer_by_key(Packet& packet) const {
  aim(packet, target(lanes_[packet.source].source->key(packet)));
}

}  // namespace rxpool
