#pragma once
// Scenarios drawn from a seed: every coupling that the host has to keep in order, small enough to run in milliseconds.

#include <cstdint>
#include <string>

#include "models/scenario/scenario.hpp"

namespace rxpool {

struct RandomScenarioOptions {
  double duration_ms = 2;
};

/// The scenario's text; loads with load_random().
std::string random_scenario(std::uint64_t seed, const RandomScenarioOptions& options = {});
Scenario load_random(const std::string& text);

}  // namespace rxpool
