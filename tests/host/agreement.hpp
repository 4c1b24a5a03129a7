#pragma once
// The simulator beside the reference engine: everything that has to be the same, and what is not.

#include <cstdint>
#include <string>
#include <vector>

#include "models/scenario/scenario.hpp"

namespace rxpool {

struct Agreement {
  std::vector<std::string> differences;
  std::string refused;  ///< not a host that can run (too little memory for its rings): both say so, and why
  std::uint64_t packets = 0;
};

/// Fingerprint, fates, both ledgers, page_pool and queue counters.
Agreement compare_with_reference(const Scenario& scenario);
/// Is the fingerprint the same however far CPUs may run ahead?
bool independent_of_window(const Scenario& scenario);

}  // namespace rxpool
