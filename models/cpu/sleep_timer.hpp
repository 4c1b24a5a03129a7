#pragma once
// An hrtimer that wakes one thread: sleeping applications, paused readers, paced reads.

#include "models/cpu/core.hpp"

namespace rxpool {

class SleepTimer final : public InterruptSource {
 public:
  explicit SleepTimer(Task& task) : InterruptSource(false), task_(task) {}
  /// Wakes the thread at `at`; the core it is attached to must be told.
  void start(Core& core, Time at) {
    at_ = at;
    core.interrupts_changed();
  }
  bool interrupt(Core& core) override {
    at_ = Time::never();
    core.enter_hardirq(Step::hardirq);
    core.wake(task_);
    core.leave_hardirq();
    return true;
  }

 private:
  Task& task_;
};

}  // namespace rxpool
