#pragma once
// Turns what was read into what the models take: traffic in the traffic library's structs, a policy for every NIC.

#include "models/scenario/field_reader.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool::scenario {

/// Throws InputError for values that cannot be turned.
void finish(Scenario& scenario, const Origin& origin);

}  // namespace rxpool::scenario
