#pragma once
// The files that a scenario names: found, and kept inside the scenario's folder unless the user allows more.

#include <string>

#include "models/scenario/field_reader.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool::scenario {

/// Finds calibration, captures and policies; fills in their paths. Throws InputError for one that is missing or
/// outside.
void find_files(Scenario& scenario, const LoadOptions& options, const Origin& origin);

}  // namespace rxpool::scenario
