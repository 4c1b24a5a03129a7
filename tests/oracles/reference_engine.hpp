#pragma once
// The same host, run the plain way: one event per packet arrival, transfer, completion, interrupt, poll step, packet
// step, page return and ring operation, in one queue ordered by (time, class, component id). Nothing works ahead or
// behind, nothing is done in batches. It shares with the simulator only what is passive: page_pool and page allocator,
// run queue and idle governor, sources and wire, cache, calibration and scenario. Built-in programs, synthetic traffic.

#include <cstdint>
#include <map>
#include <string>

#include "models/result.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool::reference {

struct ReferenceResult {
  std::uint64_t fingerprint = 0;
  std::map<std::string, std::uint64_t> fates;
  Ledger packets;
  Ledger pages;
  /// Counters by component and metric, under the simulator's names: pools, queues.
  std::map<std::string, std::uint64_t> counters;
  std::uint64_t events = 0;
};

ReferenceResult run_reference(const Scenario& scenario, std::uint32_t replication = 0);

}  // namespace rxpool::reference
