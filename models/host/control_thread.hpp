#pragma once
// What a control loop that runs on one of the host's CPUs costs there: an agent's thread that wakes at each look and
// works for so long per queue. Only the time is modelled: readings and acts stay at their instants, also when the
// thread has to wait for its CPU (CT-52).

#include <cstdint>

#include "models/cpu/core.hpp"
#include "models/cpu/sleep_timer.hpp"

namespace rxpool {

class ControlThread final : public Task {
 public:
  /// `look`: CPU time of one look at all queues.
  ControlThread(Time period, Time look);
  void attach(Core& core);
  Outcome step(Core& core) override;

  const std::uint64_t& time_ps() const { return time_ps_; }

 private:
  Time period_;
  Time look_;
  Time next_;
  SleepTimer timer_;
  std::uint64_t time_ps_ = 0;
};

}  // namespace rxpool
