#pragma once
// The metrics of the control loop: detectors and scores, overload, situations, breaker, pages given back.

#include "models/host/control_loop.hpp"
#include "sim/metrics.hpp"

namespace rxpool {

void register_control(MetricRegistry& registry, ControlLoop& loop);

}  // namespace rxpool
