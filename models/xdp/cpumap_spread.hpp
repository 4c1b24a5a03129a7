#pragma once
// The built-in program that redirects to CPUs: which entry of its cpumap a packet goes to. By flow (the NIC's hash
// stands for the one that such programs compute, scaled as RS-20 does), or one entry after the other, counted on each
// RX CPU by itself.

#include <cstdint>
#include <utility>
#include <vector>

#include "models/packet.hpp"

namespace rxpool {

class CpumapEntry;

class CpumapSpread {
 public:
  /// `rx_cpus`: CPUs of the host.
  CpumapSpread(std::vector<CpumapEntry*> entries, bool by_flow, std::size_t rx_cpus)
      : entries_(std::move(entries)), by_flow_(by_flow), next_(rx_cpus) {}

  bool reads_packet() const { return by_flow_; }
  CpumapEntry& choose(const Packet& packet, std::uint16_t cpu) { return *entries_[index(packet, cpu)]; }
  std::size_t index(const Packet& packet, std::uint16_t cpu) {
    const std::size_t count = entries_.size();
    if (by_flow_) return (packet.rss_hash * std::uint64_t{count}) >> 32;
    std::size_t& next = next_[cpu];
    if (next >= count) next = 0;
    return next++;
  }

 private:
  std::vector<CpumapEntry*> entries_;
  bool by_flow_;
  std::vector<std::size_t> next_;  ///< by RX CPU
};

}  // namespace rxpool
