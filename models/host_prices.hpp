#pragma once
// From a calibration file to the price lists of the parts.

#include "models/calibration.hpp"
#include "models/cpu/idle.hpp"
#include "models/memory/context.hpp"
#include "models/scenario/cpu_params.hpp"

namespace rxpool {

MemoryPrices memory_prices(const Calibration& calibration);
IdleParams idle_params(const Calibration& calibration, scenario::IdleStates deepest, int hz);

}  // namespace rxpool
