#include "models/cpu/run_queue.hpp"

#include <algorithm>
#include <string>

#include "sim/error.hpp"

namespace rxpool {
namespace {

void check_thread(const Thread& thread, const SchedulerRules& rules) {
  const auto refuse = [&](const std::string& what) { throw InputError("thread " + thread.name + ": " + what); };
  if (thread.nice < -20 || thread.nice > 19) {
    refuse("nice " + std::to_string(thread.nice) + " is outside -20 to 19");
  }
  const bool fifo = thread.policy == SchedulingPolicy::fifo;
  if (fifo ? thread.rt_priority < 1 || thread.rt_priority > 99 : thread.rt_priority != 0) {
    refuse("rt_priority " + std::to_string(thread.rt_priority) + " is not " +
           (fifo ? "1 to 99, as fifo needs" : "0, as a normal thread needs"));
  }
  if (thread.slice_ns == 0) return;
  if (!rules.custom_slice) refuse("slice_ns needs release 6.12 or later");
  if (thread.slice_ns < 100'000 || thread.slice_ns > 100'000'000) {
    refuse("slice_ns " + std::to_string(thread.slice_ns) + " is outside 100000 to 100000000");
  }
}

}  // namespace

RunQueue::RunQueue(const SchedulerParams& params) : rules_(scheduler_rules(params)), fair_(rules_, max_threads) {
  fifo_.reserve(max_threads);
}

void RunQueue::attach(Thread& thread) {
  check_thread(thread, rules_);
  if (attached_ == max_threads) {
    throw InputError("thread " + thread.name + ": more than " + std::to_string(max_threads) + " threads on one CPU");
  }
  ++attached_;
  fair_.set_weight(thread);
}

bool RunQueue::enqueue(Thread& thread, Time now, bool wakeup) {
  if (thread.state != ThreadState::sleeping) return resched_pending();
  commit();
  if (current_ == nullptr) fair_.put_current();  // one that just fell asleep with delay
  thread.state = ThreadState::runnable;
  thread.waiting_since = now;
  if (thread.policy == SchedulingPolicy::fifo) {
    thread.fifo_order = ++fifo_sequence_;
    thread.on_queue = true;
    fifo_.push_back(&thread);
  } else if (thread.delayed) {
    fair_.wake_delayed(thread);
  } else {
    fair_.enqueue(thread, wakeup);
  }
  check_preemption(thread);
  return resched_pending();
}

void RunQueue::dequeue(Thread& thread, Time now, bool sleep) {
  ensure(thread.state != ThreadState::sleeping, "run queue: a sleeping thread cannot leave it");
  commit();
  const bool running = current_ == &thread;
  if (!running) thread.run_delay += now - thread.waiting_since;
  thread.state = ThreadState::sleeping;
  if (thread.policy == SchedulingPolicy::fifo) {
    thread.on_queue = false;
    fifo_.erase(std::find(fifo_.begin(), fifo_.end(), &thread));
  } else {
    fair_.dequeue(thread, sleep);
  }
  if (!running) return;
  if (sleep) ++thread.nr_voluntary_switches;
  current_ = nullptr;
}

Thread* RunQueue::pick_next(Time now) {
  commit();
  Thread* previous = current_;
  Thread* next = top_fifo();
  if (next == nullptr) next = fair_.pick();
  if (next != previous) {
    if (previous != nullptr) {
      previous->state = ThreadState::runnable;
      previous->waiting_since = now;
      ++previous->nr_involuntary_switches;
    }
    fair_.put_current();
    if (next != nullptr) {
      next->state = ThreadState::running;
      next->run_delay += now - next->waiting_since;
      ++next->pcount;
      if (next->policy == SchedulingPolicy::normal) fair_.set_current(*next);
    }
  }
  current_ = next;
  need_resched_ = need_resched_lazy_ = false;
  return next;
}

bool RunQueue::tick() {
  if (current_ == nullptr) return resched_pending();
  if (need_resched_lazy_) need_resched_ = true;
  commit();
  if (current_->policy == SchedulingPolicy::normal && fair_.tick()) request_reschedule(true);
  return resched_pending();
}

void RunQueue::yield() {
  ensure(current_ != nullptr, "run queue: idle cannot yield");
  if (fifo_.size() + fair_.size() == 1) return;
  commit();
  if (current_->policy == SchedulingPolicy::fifo) {
    current_->fifo_order = ++fifo_sequence_;
  } else {
    fair_.yield();
  }
}

bool RunQueue::set_nice(Thread& thread, int nice) {
  ensure(nice >= -20 && nice <= 19, "run queue: nice out of range");
  if (thread.policy == SchedulingPolicy::fifo) {
    thread.nice = nice;
    return resched_pending();
  }
  commit();
  const int old_nice = thread.nice;
  fair_.reweight(thread, nice);
  if (thread.state == ThreadState::running) {
    if (nice > old_nice && fair_.size() > 1) request_reschedule(false);
  } else if (thread.state == ThreadState::runnable) {
    check_preemption(thread);
  }
  return resched_pending();
}

std::size_t RunQueue::runnable() const {
  return fifo_.size() + fair_.size() - fair_.delayed();
}

bool RunQueue::is_honoured(SchedulePoint point) const {
  switch (point) {
    case SchedulePoint::user_return:
      return true;
    case SchedulePoint::kernel:
      return need_resched_ && (rules_.preempt == PreemptionModel::full || rules_.preempt == PreemptionModel::lazy);
    case SchedulePoint::cond_resched:
      return need_resched_;
    case SchedulePoint::might_sleep:
      return need_resched_ && rules_.preempt != PreemptionModel::none;
  }
  return false;
}

void RunQueue::commit() {
  const std::int64_t ran_ns = uncommitted_ / nanoseconds(1);
  if (ran_ns == 0 || current_ == nullptr) return;
  uncommitted_ -= nanoseconds(ran_ns);
  if (current_->policy == SchedulingPolicy::fifo) {
    current_->sum_exec_runtime_ns += ran_ns;
  } else if (fair_.account(ran_ns)) {
    request_reschedule(true);
  }
}

void RunQueue::request_reschedule(bool may_be_lazy) {
  if (may_be_lazy && rules_.preempt == PreemptionModel::lazy) {
    need_resched_lazy_ = true;
  } else {
    need_resched_ = true;
  }
}

void RunQueue::check_preemption(Thread& woken) {
  if (current_ == nullptr) {
    request_reschedule(false);
  } else if (woken.policy == SchedulingPolicy::fifo) {
    if (current_->policy == SchedulingPolicy::normal || woken.rt_priority > current_->rt_priority) {
      request_reschedule(false);
    }
  } else if (current_->policy == SchedulingPolicy::normal && !need_resched_ && fair_.wakeup_preempts(woken)) {
    request_reschedule(true);
  }
}

Thread* RunQueue::top_fifo() const {
  Thread* top = nullptr;
  for (Thread* thread : fifo_) {
    if (top == nullptr || thread->rt_priority > top->rt_priority ||
        (thread->rt_priority == top->rt_priority && thread->fifo_order < top->fifo_order)) {
      top = thread;
    }
  }
  return top;
}

}  // namespace rxpool
