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

/// The thread whose time the looks cost (CT-52).
class ControlProcess final : public Process {
 public:
  ControlProcess(Time period, Time look) : Process(Context::application), period_(period), look_(look), next_(period) {}
  void start(Cpu& cpu);
  Job unit(Cpu& cpu) override;

 private:
  struct Alarm final : Interrupt {
    explicit Alarm(ControlProcess& p) : Interrupt(false), process(p) {}
    void take(Cpu& cpu) override;
    ControlProcess& process;
  };
  Time period_;
  Time look_;
  Time next_;
  Alarm alarm_{*this};
};

}  // namespace rxpool::reference
