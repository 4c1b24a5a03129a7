#include "models/host/control_thread.hpp"

namespace rxpool {

ControlThread::ControlThread(Time period, Time look)
    : Task(Context::application), period_(period), look_(look), next_(period), timer_(*this) {
  name = "control";
}

void ControlThread::attach(Core& core) {
  core.add_thread(*this);
  core.attach(timer_);
  timer_.start(core, next_);
}

Task::Outcome ControlThread::step(Core& core) {
  if (next_ > core.now()) {
    timer_.start(core, next_);
    return Outcome::sleeps;
  }
  core.charge(Work::control, look_);
  time_ps_ += static_cast<std::uint64_t>(look_.ps);
  next_ += period_;
  return Outcome::ran;
}

}  // namespace rxpool
