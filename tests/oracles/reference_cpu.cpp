#include "tests/oracles/reference_cpu.hpp"

#include <algorithm>

#include "models/cpu/core.hpp"

namespace rxpool::reference {

Cpu::Cpu(CpuSettings settings, const Calibration& prices, EventQueue& events)
    : settings_(std::move(settings)),
      prices_(prices),
      events_(events),
      run_queue_(settings_.scheduler),
      idle_states_(settings_.idle) {
  ksoftirqd_.name = settings_.name + ".ksoftirqd";
  add(ksoftirqd_);
  sources_ = {&mailbox_, &tick_};
}

void Cpu::power_on() {
  life_ = live();
  life_.start();
}

Job Cpu::live() {
  enter_idle();
  while (true) {
    co_await interrupts();
    if (current_ == nullptr ||
        run_queue_.should_schedule(current_->context == Context::application ? SchedulePoint::user_return
                                                                             : SchedulePoint::cond_resched)) {
      switch_thread();
      if (due() != nullptr) continue;
    }
    if (current_ == nullptr) {
      if (!idle_) enter_idle();
      co_await Sleep{*this};
      clock = events_.now();
      continue;
    }
    co_await Turn{*this, EventClass::thread};
    if (due() != nullptr) continue;
    context_ = current_->context;
    current_->sleeps = false;
    co_await current_->unit(*this);
    if (current_->sleeps) {
      run_queue_.dequeue(*current_, clock, true);
      current_ = nullptr;
    }
    if (std::exchange(bottom_halves_disabled, false) && net_rx_raised_) {
      context_ = Context::softirq;
      co_await softirq(false);
    }
  }
}

Job Cpu::step(EventClass event_class) {
  const Context context = context_;
  do {
    co_await interrupts();
    co_await Turn{*this, event_class};
  } while (due() != nullptr);
  context_ = context;
}

/// Looks when the host's time has come to this CPU's clock: only then is it known what is due.
Job Cpu::interrupts() {
  while (true) {
    co_await Turn{*this, EventClass::interrupt};
    if (due() != nullptr && !due()->device) co_await Turn{*this, EventClass::timer};
    if (due() == nullptr) co_return;
    due()->take(*this);
    if (!in_softirq_ && !bottom_halves_disabled && net_rx_raised_) co_await softirq(false);
  }
}

// ---- Time.

void Cpu::charge(Time cost) {
  clock += cost;
  busy += cost;
  if (context_ == Context::ksoftirqd || context_ == Context::kthread || context_ == Context::application) {
    run_queue_.update_current(cost);
  }
}

void Cpu::warm_up(Time packet) {
  if (!std::exchange(cold_, false)) return;
  charge(Time{packet.ps * prices_.idle.cold_permille / 1000});
}

MemoryContext Cpu::context_now(bool in_softirq) const {
  MemoryContext context;
  context.cpu = settings_.number;
  context.node = settings_.node;
  context.in_softirq = in_softirq;
  context.now = clock;
  return context;
}

// ---- Interrupts.

Interrupt* Cpu::next_interrupt() const {
  Interrupt* next = nullptr;
  for (Interrupt* source : sources_) {
    if (source->at != Time::never() && (next == nullptr || source->at < next->at)) next = source;
  }
  return next;
}

Interrupt* Cpu::due() const {
  Interrupt* next = next_interrupt();
  return next != nullptr && next->at <= clock ? next : nullptr;
}

void Cpu::attach(Interrupt& source) {
  sources_.push_back(&source);
  source_changed();
}

void Cpu::detach(Interrupt& source) {
  std::erase(sources_, &source);
  source_changed();
}

void Cpu::source_changed() {
  if (!sleeping_) return;
  if (wake_up_planned_) events_.cancel(wake_up_);
  Interrupt* next = next_interrupt();
  wake_up_planned_ = next != nullptr;
  if (next == nullptr) return;
  const EventClass event_class = next->device ? EventClass::interrupt : EventClass::timer;
  wake_up_ = events_.at(std::max(next->at, events_.now()), event_class, settings_.component, [this] {
    wake_up_planned_ = false;
    std::exchange(sleeping_, nullptr).resume();
  });
}

void Cpu::enter_hardirq(Step entry) {
  context_ = Context::hardirq;
  if (idle_) {
    idle_ = false;
    cold_ = true;
    clock += idle_states_.leave(clock);
    start_tick();
  }
  charge(entry);
}

void Cpu::leave_hardirq() {
  charge(Step::interrupt_exit);
  if (in_softirq_) {
    context_ = softirq_by_ksoftirqd_ ? Context::ksoftirqd : Context::softirq;
  } else if (net_rx_raised_ && !bottom_halves_disabled) {
    context_ = Context::softirq;
  }
}

void Cpu::start_tick() {
  const Time period = seconds(1) / settings_.hz;
  tick_.at = period * (clock / period + 1);
}

void Cpu::Tick::take(Cpu& cpu) {
  cpu.enter_hardirq(Step::tick);
  cpu.start_tick();
  cpu.run_queue_.tick();
  cpu.leave_hardirq();
}

void Cpu::send(Letter letter) {
  letter.at += Core::remote_latency;
  mailbox_.letters.push_back(letter);
  mailbox_.at = std::min(mailbox_.at, letter.at);
  source_changed();
}

void Cpu::Mailbox::take(Cpu& cpu) {
  cpu.enter_hardirq(Step::ipi);
  const Time first = at;
  const std::vector<Letter> all = std::exchange(letters, {});
  at = Time::never();
  for (const Letter& letter : all) {
    if (letter.at > first) {
      letters.push_back(letter);
      at = std::min(at, letter.at);
    } else if (letter.wakes != nullptr) {
      cpu.wake(*letter.wakes);
    } else {
      cpu.net_rx_raised_ = true;
    }
  }
  cpu.leave_hardirq();
}

// ---- Softirq.

void Cpu::schedule(Napi& napi) {
  napi.scheduled = true;
  if (napi.thread != nullptr) {
    wake(*napi.thread);
    return;
  }
  napi.list_owner = settings_.number;
  poll_list_.push_back(&napi);
  if (!in_net_rx_action_) net_rx_raised_ = true;
}

std::int64_t Cpu::in_jiffies(Time span) const {
  const Time jiffy = seconds(1) / settings_.hz;
  return (span + jiffy - picoseconds(1)) / jiffy;
}

Job Cpu::softirq(bool by_ksoftirqd) {
  in_softirq_ = true;
  softirq_by_ksoftirqd_ = by_ksoftirqd;
  int passes_left = 10;
  const std::int64_t end = jiffies(clock) + in_jiffies(milliseconds(2));
  charge(Step::softirq_entry);
  while (true) {
    co_await step(EventClass::poll);
    co_await net_rx_action();
    co_await interrupts();
    finish_pass();
    if (!net_rx_raised_) break;
    if (jiffies(clock) >= end || run_queue_.need_resched() || --passes_left == 0) {
      if (ksoftirqd_.state == ThreadState::sleeping) wake(ksoftirqd_);
      break;
    }
  }
  in_softirq_ = false;
}

Job Cpu::net_rx_action() {
  net_rx_raised_ = false;
  in_net_rx_action_ = true;
  std::int64_t budget = settings_.budget;
  const std::int64_t end = jiffies(clock) + in_jiffies(microseconds(settings_.budget_usecs));
  list_.swap(poll_list_);
  while (true) {
    co_await deferred->flush(*this);
    co_await interrupts();
    if (list_.empty()) {
      if (!repoll_.empty() || poll_list_.empty()) break;
      list_.swap(poll_list_);
      continue;
    }
    Napi& napi = *list_.front();
    list_.pop_front();
    co_await napi.poll(*this);
    budget -= napi.work;
    if (napi.work >= 64 && napi.scheduled) repoll_.push_back(&napi);
    if (budget <= 0 || jiffies(clock) >= end) break;
  }
}

void Cpu::finish_pass() {
  list_.insert(list_.end(), poll_list_.begin(), poll_list_.end());
  list_.insert(list_.end(), repoll_.begin(), repoll_.end());
  poll_list_ = std::exchange(list_, {});
  repoll_.clear();
  in_net_rx_action_ = false;
  if (!poll_list_.empty()) net_rx_raised_ = true;
}

Job Cpu::Ksoftirqd::unit(Cpu& cpu) {
  if (cpu.net_rx_raised_) {
    co_await cpu.softirq(true);
  } else {
    sleeps = true;
  }
}

// ---- Threads.

void Cpu::add(Process& process) {
  process.home = this;
  run_queue_.attach(process);
}

void Cpu::wake(Process& process) {
  if (process.state != ThreadState::sleeping) return;
  if (process.home != this) {
    process.home->wake_from_elsewhere(process, clock);
  } else {
    run_queue_.enqueue(process, clock, true);
  }
}

void Cpu::switch_thread() {
  auto* next = static_cast<Process*>(run_queue_.pick_next(clock));
  if (next == current_) return;
  current_ = next;
  if (current_ == nullptr) return;
  context_ = current_->context;
  charge(Step::context_switch);
}

void Cpu::enter_idle() {
  idle_ = true;
  tick_.at = Time::never();
  Time next_timer = Time::never();
  for (const Interrupt* source : sources_) {
    if (!source->device) next_timer = std::min(next_timer, source->at);
  }
  idle_states_.enter(clock, next_timer);
}

}  // namespace rxpool::reference
