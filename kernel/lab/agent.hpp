#pragma once
// The signal agent: reads the pool under test at the scenario's control period, feeds the detectors, the overload
// detector and the circuit breaker of models/control, and writes the signal that the policy reads into the program's
// memory. What a kernel without page_pool statistics cannot tell (single allocations and returns, the NIC's backlog) is
// neither read nor marked as valid. It is an ordinary thread of this host: its period and latency are measured, not
// assumed, and the gate that the simulator's breaker has in the driver does not exist: refusing is left to the policy.

#include <atomic>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <thread>
#include <vector>

#include "kernel/lab/probes.hpp"
#include "models/bpf/contexts.hpp"
#include "models/control/breaker.hpp"
#include "models/control/overload.hpp"
#include "models/control/working_set.hpp"
#include "models/scenario/control_params.hpp"

namespace rxpool::lab {

/// Free pages of this host and the watermarks of its zones, all zones together.
struct HostMemory {
  double free_pages = 0;
  double low = 0;
  double high = 0;
  double managed = 0;
};
HostMemory read_zones();

class Agent {
 public:
  /// `signal` stays mapped as long as the agent lives.
  Agent(const scenario::ControlParams& params, std::uint32_t hz, Probes& probes, bpf::Signal& signal);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void start();
  void stop();
  /// One row per look, in columns; times since `begin_ns`.
  nlohmann::json report(std::int64_t begin_ns) const;

 private:
  struct Look {
    std::int64_t read_ns = 0;
    std::int64_t written_ns = 0;  ///< when the signal of this reading was complete
    std::int64_t cpu_ns = 0;      ///< time that the thread had a CPU for it, without waking up
    std::int32_t held = 0;
    double working_set = 0;  ///< last steady estimate; 0 unknown
    std::uint32_t state = 0;
  };

  void work();
  Look look();
  void detect(const PageLevels& levels);
  void write(const PageLevels& levels, std::uint32_t state);

  scenario::ControlParams params_;
  Probes& probes_;
  bpf::Signal& signal_;
  HostMemory memory_;
  std::vector<std::unique_ptr<WorkingSetDetector>> detectors_;
  std::size_t used_ = 0;
  OverloadDetector overload_;
  CircuitBreaker breaker_;
  double steady_pages_ = 0;
  std::vector<Look> looks_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace rxpool::lab
