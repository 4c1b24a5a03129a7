#pragma once
// Metrics of the sockets, of the memory that they share, and of what they lose.

#include "models/host/host.hpp"

namespace rxpool {

void register_sockets(MetricRegistry& registry, Host& host);

}  // namespace rxpool
