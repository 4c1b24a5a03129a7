#pragma once
// A synthetic open-loop source: an arrival process, a size distribution and a set of flows, drawn from streams of their
// own (arrivals, flow, size, variant), so that changing one leaves the others as they were. With incast, flow = sender
// modulo the number of flows. IMIX is 7 : 4 : 1 IP packets of 40, 576 and 1500 bytes, so frames of 64, 594 and 1518
// bytes (more if the headers need it).

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/traffic/arrivals.hpp"
#include "models/traffic/flow_table.hpp"
#include "models/traffic/headers.hpp"
#include "models/traffic/params.hpp"
#include "models/traffic/source.hpp"
#include "sim/distribution.hpp"
#include "sim/random.hpp"

namespace rxpool {

class SyntheticSource final : public Source {
 public:
  /// Throws InputError naming `name` and the field.
  SyntheticSource(std::string name, std::uint16_t index, const SourceParams& params, std::uint64_t seed,
                  std::uint32_t replication);

  std::size_t produce(std::span<Offer> out) override;
  void withdraw(std::size_t count) override;
  void set_rate_factor(Time at, double factor) override;

  std::uint32_t flow_count() const override { return flows_.size(); }
  FlowKey flow_key(std::uint32_t flow) const override { return flows_[flow]; }
  FlowKey key(const Packet& packet) const override;
  void prefetch(const Packet& packet) const override { __builtin_prefetch(&flows_[packet.flow]); }
  std::size_t headers(const Packet& packet, std::span<std::byte> out) const override;

 private:
  static constexpr std::size_t block = 128;

  struct State {
    Arrivals::State arrivals;
    std::uint64_t flow_draws = 0;
    std::uint64_t size_draws = 0;
    std::uint64_t variant_draws = 0;
  };

  std::size_t produce_block(std::span<Offer> out);
  State save() const;
  void restore(const State& state);

  Arrivals arrivals_;
  FlowTable flows_;
  bool incast_;
  bool own_keys_;
  std::uint8_t protocol_;
  HeaderTemplate headers_;
  std::vector<std::uint16_t> sizes_;       ///< frame lengths, one if fixed
  std::optional<AliasTable> size_choice_;  ///< none if fixed
  std::optional<AliasTable> flow_choice_;  ///< none if uniform
  RandomStream flow_random_;
  RandomStream size_random_;
  RandomStream variant_random_;
  std::array<Time, block> times_;  ///< of the block that is being produced
  State produced_from_;            ///< before the last produce()
  std::size_t produced_ = 0;
};

}  // namespace rxpool
