#pragma once
// Where every packet's end is written down: the count per fate, the fingerprint, and for delivered packets the latency
// from the wire. One per replication; each packet is recorded exactly once.

#include <array>
#include <cstdint>

#include "models/fate.hpp"
#include "models/packet.hpp"
#include "sim/fingerprint.hpp"
#include "sim/trace.hpp"

namespace rxpool {

class Journal {
 public:
  void ended(const Packet& packet, Fate fate, Time at) { ended(packet.id, packet.queue, packet.arrival, fate, at); }
  void ended(std::uint64_t id, std::uint16_t queue, Time arrival, Fate fate, Time at) {
    ++counts_[static_cast<std::size_t>(fate)];
    fingerprint_.packet(id, queue, arrival, static_cast<std::uint32_t>(fate), at);
  }
  static void add(Fingerprint& sum, const Packet& packet, Fate fate, Time at) {
    sum.packet(packet.id, packet.queue, packet.arrival, static_cast<std::uint32_t>(fate), at);
  }
  /// The ends of `count` packets, added up elsewhere: a loop over packets keeps the sums in registers.
  void ended(Fate fate, std::uint64_t count, const Fingerprint& sum) {
    counts_[static_cast<std::size_t>(fate)] += count;
    fingerprint_.merge(sum);
  }
  std::uint64_t count(Fate fate) const { return counts_[static_cast<std::size_t>(fate)]; }
  const std::uint64_t* counter(Fate fate) const { return &counts_[static_cast<std::size_t>(fate)]; }
  Fingerprint& fingerprint() { return fingerprint_; }
  /// Null unless the run is traced.
  Trace* trace = nullptr;

 private:
  std::array<std::uint64_t, fate_names.size()> counts_{};
  Fingerprint fingerprint_;
};

}  // namespace rxpool
