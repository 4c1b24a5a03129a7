#pragma once
// A thread with something to do: ksoftirqd, a NAPI thread, an application. The scheduler (run_queue.hpp) decides when
// it has the CPU; step() does one unit that is not preempted: one poll, one message.

#include "models/cpu/run_queue.hpp"
#include "models/cpu/step.hpp"

namespace rxpool {

class Core;

class Task : public Thread {
 public:
  enum class Outcome : std::uint8_t {
    ran,        ///< one unit done, wants to go on
    waiting,    ///< stopped between two steps; the core has re-armed itself
    postponed,  ///< others come first: the core has re-armed itself and the unit has not begun
    sleeps,     ///< nothing to do until woken
  };
  explicit Task(Context context) : context_(context) {}
  virtual ~Task() = default;
  virtual Outcome step(Core& core) = 0;
  /// Going on from the core's clock without a break: until when it surely does nothing that a step on another CPU could
  /// notice. What it leaves to be freed there does not count (SK-42: that CPU looks at it in turn).
  virtual Time unnoticed_until(const Core& core) const;
  Context context() const { return context_; }
  Core* home = nullptr;  ///< core whose thread it is; add_thread() sets it
  /// Where it may lose the CPU between two units: kernel threads at cond_resched, applications on their way to user
  /// space.
  SchedulePoint schedule_point() const {
    return context_ == Context::application ? SchedulePoint::user_return : SchedulePoint::cond_resched;
  }

 private:
  Context context_;
};

}  // namespace rxpool
