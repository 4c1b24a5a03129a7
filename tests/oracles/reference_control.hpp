#pragma once
// The control loop on the reference engine's queues: the same detectors and breakers (models/control,
// models/control_loop are passive), read and driven by one event per look. Built-in programs only, so no signal map;
// drivers with a page_pool.

#include <memory>
#include <vector>

#include "models/host/control_loop.hpp"
#include "tests/oracles/reference_nic.hpp"

namespace rxpool::reference {

/// Null when the scenario asks for none.
std::unique_ptr<ControlLoop> make_control_loop(const Scenario& scenario, std::vector<std::unique_ptr<Nic>>& nics,
                                               const std::vector<std::unique_ptr<Cpu>>& cpus, PageAllocator& allocator);

}  // namespace rxpool::reference
