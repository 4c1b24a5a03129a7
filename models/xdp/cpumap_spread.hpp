#pragma once
// The built-in program that redirects to CPUs: which entry of its cpumap a packet goes to. By flow (the NIC's hash
// stands for the one that such programs compute, scaled as reciprocal_scale() does), or one entry after the other,
// counted on each RX CPU by itself. It uses the first so many entries; an agent may change how many (CT-62).

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
      : entries_(std::move(entries)), by_flow_(by_flow), in_use_(entries_.size()), next_(rx_cpus) {}

  bool reads_packet() const { return by_flow_; }
  CpumapEntry& choose(const Packet& packet, std::uint16_t cpu) { return *entries_[index(packet, cpu)]; }
  std::size_t index(const Packet& packet, std::uint16_t cpu) {
    if (by_flow_) return (packet.rss_hash * std::uint64_t{in_use_}) >> 32;
    std::size_t& next = next_[cpu];
    if (next >= in_use_) next = 0;
    return next++;
  }
  void use(std::size_t count) { in_use_ = count; }
  std::size_t in_use() const { return in_use_; }
  const std::vector<CpumapEntry*>& entries() const { return entries_; }

 private:
  std::vector<CpumapEntry*> entries_;
  bool by_flow_;
  std::size_t in_use_;
  std::vector<std::size_t> next_;  ///< by RX CPU
};

}  // namespace rxpool
