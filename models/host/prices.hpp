#pragma once
// From a calibration file to the price lists of the parts.

#include <array>
#include <span>

#include "models/calibration/calibration.hpp"
#include "models/cpu/idle.hpp"
#include "models/memory/context.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool {

/// The prices of one replication: the scenario's file, with retpolines where the kernel has them, and drawn anew from
/// the fit's covariance where the scenario asks for it.
Calibration host_calibration(const Scenario& scenario, std::uint32_t replication);
MemoryPrices memory_prices(const Calibration& calibration);
/// The calibration's idle states: poll, shallow, deep; names as cpuidle has them.
std::array<IdleState, 3> idle_table(const Calibration& calibration);
IdleParams idle_params(std::span<const IdleState> table, scenario::IdleStates deepest, int hz);

}  // namespace rxpool
