#pragma once
// Checks timed changes: the path is one that may change at run time, it exists, and the new value would be accepted in
// the scenario itself.

#include <nlohmann/json.hpp>

#include "models/scenario/field_reader.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool::scenario {

/// `resolved`: the whole scenario as written by FieldWriter. Throws InputError.
void check_events(const Scenario& scenario, const nlohmann::json& resolved, const LoadOptions& options,
                  const Origin& origin);

}  // namespace rxpool::scenario
