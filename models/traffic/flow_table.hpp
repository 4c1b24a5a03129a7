#pragma once
// The flows of a synthetic source: distinct keys drawn from its address and port ranges, or, for a spoofed flood, the
// key that follows from a packet's own random number.

#include <cstdint>
#include <string_view>
#include <vector>

#include "models/traffic/address.hpp"
#include "models/traffic/flow.hpp"
#include "models/traffic/params.hpp"

namespace rxpool {

/// The prefix of `params` with the defaults of its IP version; validated.
AddressRange source_range(const FlowParams& params);
AddressRange destination_range(const FlowParams& params);
/// How many keys the ranges can tell apart, at most 2^63.
std::uint64_t distinct_keys(const FlowParams& params);

class FlowTable {
 public:
  FlowTable(const FlowParams& params, std::uint64_t seed, std::uint32_t replication, std::string_view name);

  std::uint32_t size() const { return static_cast<std::uint32_t>(keys_.size()); }
  const FlowKey& operator[](std::uint32_t flow) const { return keys_[flow]; }
  /// Key of a packet that draws its own.
  FlowKey spoofed(std::uint64_t variant) const;

 private:
  FlowKey make(std::uint64_t source_host, std::uint64_t destination_host, std::uint32_t source_port,
               std::uint32_t destination_port) const;

  AddressRange sources_;
  AddressRange destinations_;
  PortRange source_ports_;
  PortRange destination_ports_;
  std::uint8_t protocol_;
  bool vlan_;
  std::vector<FlowKey> keys_;
};

}  // namespace rxpool
