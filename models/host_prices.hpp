#pragma once
// From a calibration file to the price lists of the parts.

#include <array>
#include <span>

#include "models/calibration.hpp"
#include "models/cpu/idle.hpp"
#include "models/memory/context.hpp"
#include "models/scenario/cpu_params.hpp"

namespace rxpool {

MemoryPrices memory_prices(const Calibration& calibration);
/// The calibration's idle states: poll, shallow, deep; names as cpuidle has them.
std::array<IdleState, 3> idle_table(const Calibration& calibration);
IdleParams idle_params(std::span<const IdleState> table, scenario::IdleStates deepest, int hz);

}  // namespace rxpool
