#pragma once
// What must hold inside `control` and between it and the rest of a scenario.

#include "models/scenario/field_reader.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool::scenario {

/// Throws InputError at the first thing that does not hold.
void check_control(const Scenario& scenario, const Origin& origin);

}  // namespace rxpool::scenario
