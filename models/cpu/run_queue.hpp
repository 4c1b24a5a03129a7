#pragma once
// The scheduler of one CPU (SC-1 to SC-51): SCHED_FIFO threads by fixed priority, then the fair class of the chosen
// release, and the request to reschedule with the places where a preemption model honours it. The core that owns it
// tells it when threads wake, block and tick, and reports the CPU time they used; it decides who runs. Leaves out
// migration and load balancing (the scenario gives each thread its CPU), groups, RT throttling and the fair server.
// Nothing here allocates after attach().

#include <cstdint>
#include <vector>

#include "models/cpu/fair_queue.hpp"
#include "models/cpu/scheduler_params.hpp"
#include "models/cpu/thread.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// Where the running thread could be switched (SC-5).
enum class SchedulePoint : std::uint8_t {
  user_return,   ///< on the way back to user space, from a system call or an interrupt
  kernel,        ///< in kernel code outside preempt-off and BH-off regions, as after an interrupt
  cond_resched,  ///< between two softirq rounds of ksoftirqd, two polls of a NAPI thread
  might_sleep,   ///< a call that may sleep, such as lock_sock in recvmsg
};

class RunQueue {
 public:
  static constexpr std::size_t max_threads = 64;

  /// Throws InputError for parameters out of range.
  explicit RunQueue(const SchedulerParams& params);

  /// Before time starts: checks nice, priority and slice (InputError) and makes the thread known. It sleeps at first.
  void attach(Thread& thread);

  /// A sleeping thread becomes runnable: `wakeup` after a sleep, without it as a new thread or back from a dequeue
  /// without sleep. Nothing happens to a thread that is not asleep. Returns true if the running thread (or idle) is
  /// asked to leave the CPU; should_schedule() says where it does.
  bool enqueue(Thread& thread, Time now, bool wakeup);
  /// A runnable or running thread blocks (`sleep`) or is taken out (SC-36). After the running one, pick_next() is due.
  void dequeue(Thread& thread, Time now, bool sleep);
  /// schedule(): chooses, switches and clears the request. Null is idle.
  Thread* pick_next(Time now);

  /// The running thread used the CPU for this long, hard interrupts and softirqs on its back not counted (SC-3). Only
  /// collects: the kernel looks at it when something is queued, removed, picked, ticked or yields, and so does this.
  void update_current(Time ran) {
    if (current_ != nullptr) uncommitted_ += ran;
  }
  /// The periodic tick (SC-7); true if a request to reschedule is pending.
  bool tick();
  /// sched_yield() of the running thread; pick_next() is due (SC-33, SC-47).
  void yield();
  /// Returns true if a request to reschedule is pending.
  bool set_nice(Thread& thread, int nice);

  Thread* current() const { return current_; }
  std::size_t runnable() const;  ///< running one included, delayed ones not
  bool need_resched() const { return need_resched_; }
  bool need_resched_lazy() const { return need_resched_lazy_; }
  bool should_schedule(SchedulePoint point) const { return resched_pending() && is_honoured(point); }
  const SchedulerRules& rules() const { return rules_; }
  Time tick_period() const { return nanoseconds(rules_.tick_ns); }

 private:
  void commit();
  void request_reschedule(bool may_be_lazy);
  void check_preemption(Thread& woken);
  bool is_honoured(SchedulePoint point) const;
  bool resched_pending() const { return need_resched_ || need_resched_lazy_; }
  Thread* top_fifo() const;

  SchedulerRules rules_;
  FairQueue fair_;
  std::vector<Thread*> fifo_;  ///< runnable FIFO threads, the running one included
  Thread* current_ = nullptr;
  Time uncommitted_;
  std::size_t attached_ = 0;
  std::uint64_t fifo_sequence_ = 0;
  bool need_resched_ = false;
  bool need_resched_lazy_ = false;
};

}  // namespace rxpool
