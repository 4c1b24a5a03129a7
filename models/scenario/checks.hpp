#pragma once
// What must hold between parts of a scenario: every name that is referred to exists, every host can be built, every
// ring is one that its driver accepts.

#include "models/scenario/field_reader.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool::scenario {

/// Throws InputError at the first thing that does not hold.
void check(const Scenario& scenario, const Origin& origin);

}  // namespace rxpool::scenario
