#pragma once
// From the keys of `control` to what models/control takes: milliseconds become Time. The simulator's loop and the agent
// on a real kernel (kernel/lab/agent.hpp) share it.

#include "models/scenario/control_params.hpp"
#include "sim/time.hpp"

namespace rxpool::scenario {

/// `period` between two looks, `jiffy` of the kernel.
DetectorParams detector_params(const DetectorFields& fields, Time period, Time jiffy);
OverloadParams overload_params(const OverloadFields& fields);
BreakerParams breaker_params(const BreakerFields& fields);

}  // namespace rxpool::scenario
