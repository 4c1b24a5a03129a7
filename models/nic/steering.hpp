#pragma once
// Which RX queue a packet goes to: ntuple rules first, then RSS (Toeplitz hash, indirection table). Rules RS-1, RS-2,
// RS-10, RS-12, RS-13. Hash and rule depend on header bytes only, so they are computed once per flow and kept; packets
// whose addresses are drawn one by one (packet_flag::own_key) are hashed one by one.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/packet.hpp"
#include "models/traffic/source.hpp"
#include "models/traffic/toeplitz.hpp"

namespace rxpool {

/// One ethtool -N rule; absent fields match everything. Addresses in network byte order with a prefix length.
struct NtupleRule {
  struct Address {
    std::array<std::uint8_t, 16> bytes{};
    std::uint8_t ip_version = 4;
    std::uint8_t prefix_bits = 0;
  };
  std::optional<Address> source;
  std::optional<Address> destination;
  std::optional<std::uint16_t> source_port;
  std::optional<std::uint16_t> destination_port;
  std::optional<std::uint8_t> ip_protocol;
  std::optional<std::uint16_t> queue;  ///< none: drop

  bool matches(const FlowKey& key) const;
};

struct SteeringParams {
  RssKey key = default_rss_key();
  std::vector<std::uint16_t> indirection;  ///< power of two entries: queue of hash & (size - 1)
  bool hash_udp_ports = false;             ///< sdfn rather than sd (RS-13)
  bool hash_tcp_ports = true;
  std::vector<NtupleRule> rules;  ///< first match wins
};

class Steering {
 public:
  static constexpr std::uint16_t drop = 0xffff;  ///< Packet::queue of a packet that a rule drops

  /// `sources` indexed by Packet::source.
  Steering(SteeringParams params, std::vector<const Source*> sources);

  void steer(std::span<Packet> packets) const {
    const Lane* const lanes = lanes_.data();
    for (Packet& packet : packets) {
      if (packet.flags & packet_flag::own_key) {
        steer_by_key(packet);
      } else {
        aim(packet, lanes[packet.source].targets[packet.flow]);
      }
    }
  }
  /// ethtool -X: a new table, for packets steered from now on.
  void set_indirection(std::vector<std::uint16_t> indirection);
  const SteeringParams& params() const { return params_; }

 private:
  struct Target {
    std::uint32_t hash = 0;
    std::uint16_t queue = 0;
    std::uint16_t destination_port = 0;
  };
  struct Lane {
    const Source* source = nullptr;
    std::vector<Target> targets;
  };
  static void aim(Packet& packet, const Target& target) {
    packet.rss_hash = target.hash;
    packet.queue = target.queue;
    packet.destination_port = target.destination_port;
  }
  Target target(const FlowKey& key) const;
  void steer_by_key(Packet& packet) const;
  void fill();

  SteeringParams params_;
  ToeplitzHash toeplitz_;
  std::vector<Lane> lanes_;
};

}  // namespace rxpool
