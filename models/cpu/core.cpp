#include "models/cpu/core.hpp"

#include <algorithm>
#include <utility>

#include "sim/error.hpp"

namespace rxpool {

Core::Core(CoreParams params, const Calibration& prices, Engine& engine)
    : params_(std::move(params)),
      prices_(prices),
      engine_(engine),
      softirq_(params_.softirq),
      run_queue_(params_.scheduler),
      idle_states_(params_.idle),
      tick_(seconds(1) / params_.softirq.hz) {
  stats_.idle_ps.resize(idle_states_.states().size());
  memory_.cpu = params_.cpu;
  memory_.node = params_.node;
  ksoftirqd_.name = params_.name + ".ksoftirqd";
  ksoftirqd_.component_id = params_.component_id;
  add_thread(ksoftirqd_);
  attach(mailbox_);
  attach(tick_);
}

void Core::power_on() {
  alone_ = engine_.alone(event_);
  enter_idle();
  wait_for_interrupt();
}

// ---- Main loop.

void Core::run(Time now) {
  ensure(idle_ || clock_ == now, "core: fired at another instant than its clock");
  if (idle_) skip_to(now);
  limit_ = limit();
  while (true) {
    engine_.set_running_at(clock_);
    if (interrupt_due()) {
      InterruptSource* const source = next_source_;
      const EventClass event_class = source->device() ? EventClass::interrupt : EventClass::timer;
      if (!may_step(event_class)) return;
      const Time asked = source->at();
      const bool taken = source->interrupt(*this);
      interrupts_changed();
      if (!taken && source->at() == asked) {
        wait(event_class);  // whether it fires now, others decide first
        return;
      }
      continue;
    }
    if (softirq_.active()) {
      if (!softirq_.run(*this)) return;
      continue;
    }
    if (!in_unit_) {
      // Another CPU's interrupt may be on its way, and wake a thread.
      if (!may_step_ahead(EventClass::interrupt)) return;
      if (current_ == nullptr || run_queue_.should_schedule(current_->schedule_point())) {
        schedule();
        if (interrupt_due()) continue;
      }
    }
    if (current_ != nullptr) {
      if (!run_task()) return;
      continue;
    }
    if (!idle_) enter_idle();
    if (next_interrupt_ == Time::never()) return;
    skip_to(next_interrupt_);
    if (!may_step(next_source_->device() ? EventClass::interrupt : EventClass::timer)) return;
  }
}

/// How far it may go on by itself. The records of a traced run are made in order.
Time Core::limit() const {
  Time limit = engine_.private_horizon();
  if (alone_) return limit;
  if (others_.empty() || trace_ != nullptr) return Time{-1};
  for (const Core* other : others_) limit = std::min(limit, other->unnoticed_until() - picoseconds(1));
  return limit;
}

/// Until when it surely does nothing that a step on another CPU could notice, if nobody interrupts it.
Time Core::unnoticed_until() const {
  if (idle_) return next_interrupt_;
  if (current_ == nullptr || softirq_.active() || softirq_.raised()) return clock_;
  const Time until = current_->unnoticed_until(*this);
  return until == clock_ || run_queue_.runnable() != 1 ? clock_ : std::min(next_interrupt_, until);
}

Time Task::unnoticed_until(const Core& core) const {
  return core.now();
}

void Core::schedule() {
  book();
  Task* next = static_cast<Task*>(run_queue_.pick_next(clock_));
  if (next == current_) return;
  current_ = next;
  if (current_ == nullptr) return;
  enter_context(current_->context());
  ++stats_.context_switches;
  charge(Step::context_switch);
}

bool Core::run_task() {
  Task& task = *current_;
  if (!in_unit_ && !may_step_in_turn(EventClass::thread)) return false;
  enter_context(task.context());
  // Between two units run() mostly has nothing to do but to begin the next one.
  const auto goes_on = [this, &task] {
    if (interrupt_due() || softirq_.active() || bottom_halves_disabled_ || trace_ != nullptr) return false;
    if (run_queue_.should_schedule(task.schedule_point())) return false;
    engine_.set_running_at(clock_);
    return alone_ ? clock_ <= limit_ : engine_.may_run(event_, clock_, EventClass::thread);
  };
  Task::Outcome outcome = task.step(*this);
  while (outcome == Task::Outcome::ran && goes_on()) outcome = task.step(*this);
  in_unit_ = outcome == Task::Outcome::waiting;
  if (outcome == Task::Outcome::sleeps) {
    book();
    run_queue_.dequeue(task, clock_, true);
    current_ = nullptr;
  }
  if (outcome != Task::Outcome::waiting && std::exchange(bottom_halves_disabled_, false) && softirq_.raised()) {
    start_softirq();
  }
  const bool rearmed = outcome == Task::Outcome::waiting || outcome == Task::Outcome::postponed;
  return !rearmed || interrupt_due();
}

void Core::enter_idle() {
  idle_ = true;
  if (trace_ != nullptr) [[unlikely]]
    trace_->context(params_.cpu, clock_, Trace::idle);
  tick_.stop();
  interrupts_changed();
  Time next_timer = Time::never();
  for (const InterruptSource* source : sources_) {
    if (!source->device()) next_timer = std::min(next_timer, source->at());
  }
  idle_states_.enter(clock_, next_timer);
  idle_since_ = clock_;
}

void Core::observe_idle(Time now) {
  if (!idle_ || now <= idle_since_) return;
  stats_.idle_ps[idle_states_.entered()] += static_cast<std::uint64_t>((now - idle_since_).ps);
  idle_since_ = now;
}

void Core::leave_idle() {
  cold_ = true;
  // Waking up is still idle time to the kernel's accounting.
  const Time latency = idle_states_.leave(clock_);
  skip_to(clock_ + latency);
  observe_idle(clock_);
  enter_context(Context::hardirq);
  idle_ = false;
  attribute(Work::idle_exit, latency);
  tick_.start(clock_);
}

void Core::wait_for_interrupt() {
  if (next_interrupt_ == Time::never()) {
    engine_.cancel(event_);
  } else {
    // A line that was moved here may be overdue.
    engine_.arm(event_, std::max(next_interrupt_, engine_.now()),
                next_source_->device() ? EventClass::interrupt : EventClass::timer);
  }
}

// ---- Interrupts.

void Core::attach(InterruptSource& source) {
  sources_.push_back(&source);
  interrupts_changed();
}

void Core::detach(InterruptSource& source) {
  std::erase(sources_, &source);
  interrupts_changed();
}

void Core::interrupts_changed() {
  next_interrupt_ = Time::never();
  next_source_ = nullptr;
  for (InterruptSource* source : sources_) {
    if (source->at() < next_interrupt_) {
      next_interrupt_ = source->at();
      next_source_ = source;
    }
  }
}

void Core::enter_hardirq(Step entry) {
  if (entry == Step::hardirq) ++stats_.interrupts;
  if (idle_) leave_idle();
  enter_context(Context::hardirq);
  charge(entry);
}

void Core::leave_hardirq() {
  charge(Step::interrupt_exit);
  // irq_exit runs pending softirqs unless it interrupted one (NA-3, NA-32: newer kernels do so beside ksoftirqd).
  if (softirq_.active()) {
    enter_context(softirq_.from_ksoftirqd() ? Context::ksoftirqd : Context::softirq);
  } else if (softirq_.raised() && !bottom_halves_disabled_) {
    start_softirq();
  }
}

void Core::start_softirq() {
  enter_context(Context::softirq);
  softirq_.start(*this, false);
}

bool Core::Tick::interrupt(Core& core) {
  core.enter_hardirq(Step::tick);
  ++core.stats_.ticks;
  start(core.clock_);
  core.run_queue_.tick();
  core.leave_hardirq();
  return true;
}

void Core::Mailbox::add(Time at, Task* task) {
  const Time arrives = at + remote_latency;
  letters_.push_back({arrives, task});
  at_ = std::min(at_, arrives);
}

bool Core::Mailbox::interrupt(Core& core) {
  core.enter_hardirq(Step::ipi);
  ++core.stats_.ipis;
  const Time due = at_;
  at_ = Time::never();
  std::size_t kept = 0;
  for (const Letter& letter : letters_) {
    if (letter.at > due) {
      at_ = std::min(at_, letter.at);
      letters_[kept++] = letter;
    } else if (letter.task != nullptr) {
      core.wake(*letter.task);
    } else {
      core.softirq_.raise();
    }
  }
  letters_.resize(kept);
  core.leave_hardirq();
  return true;
}

// ---- NAPI and softirq.

void Core::napi_schedule(Napi& napi) {
  napi.scheduled = true;
  if (napi.thread != nullptr) {
    wake(*napi.thread);
  } else {
    softirq_.schedule(napi, params_.cpu);
  }
}

void Core::wake_ksoftirqd() {
  if (ksoftirqd_.state == ThreadState::sleeping) wake(ksoftirqd_);
}

Task::Outcome Core::Ksoftirqd::step(Core& core) {
  if (!core.softirq_.raised()) return Outcome::sleeps;
  core.softirq_.start(core, true);
  return Outcome::ran;
}

// ---- Threads.

void Core::add_thread(Task& task) {
  task.home = this;
  run_queue_.attach(task);
}

void Core::wake(Task& task) {
  if (task.state != ThreadState::sleeping) return;
  if (task.home != this) {
    task.home->wake_remotely(task, clock_);
  } else {
    book();
    run_queue_.enqueue(task, clock_, true);
  }
}

void Core::wake_remotely(Task& task, Time at) {
  mailbox_.add(at, &task);
  interrupt_line_moved();
}

void Core::raise_net_rx_remotely(Time at) {
  mailbox_.add(at, nullptr);
  interrupt_line_moved();
}

}  // namespace rxpool
