#pragma once
// Applications of a scenario as the models take them.

#include <string>

#include "models/cpu/application.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool {

/// `name`: component path, which keys its random stream.
ApplicationParams application_params(const scenario::WorkParams& work, const Scenario& scenario,
                                     std::uint32_t replication, const std::string& name);

}  // namespace rxpool
