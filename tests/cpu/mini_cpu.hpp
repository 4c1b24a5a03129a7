#pragma once
// A CPU for tests of the run queue: threads that compute for a while and sleep for a while, a tick, and a switch
// wherever the preemption model allows one (all work is user-space work unless `unit` is set). Time moves from event to
// event.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "models/cpu/run_queue.hpp"

namespace rxpool::test {

struct Work {
  Thread thread;
  Time burst = Time::never();  ///< never: computes for ever
  Time pause;
  Time left;
  Time wakes_at = Time::never();
  Time asked_at;
  Time worst_wait;  ///< from wake-up to the first instruction
  bool waiting = false;
  Time served;
};

class MiniCpu {
 public:
  explicit MiniCpu(const SchedulerParams& params) : queue(params), next_tick_(queue.tick_period()) {}

  Work& add(const std::string& name, int nice = 0) {
    Work& work = works.emplace_back();
    work.thread.name = name;
    work.thread.component_id = static_cast<std::uint32_t>(works.size());
    work.thread.nice = nice;
    return work;
  }

  /// Attaches all threads and wakes them at time zero, in the order given (default: as added).
  void start(std::vector<std::size_t> order = {}) {
    for (Work& work : works) queue.attach(work.thread);
    if (order.empty()) {
      for (std::size_t i = 0; i < works.size(); ++i) order.push_back(i);
    }
    for (const std::size_t i : order) wake(works[i]);
    switch_now();
  }

  void run_until(Time end) {
    while (now < end) {
      Time next = std::min(next_tick_, end);
      for (const Work& work : works) next = std::min(next, work.wakes_at);
      Work* running = find(queue.current());
      if (running != nullptr && running->burst != Time::never()) next = std::min(next, now + running->left);
      if (running != nullptr) {
        const Time ran = next - now;
        queue.update_current(ran);
        running->served += ran;
        if (running->burst != Time::never()) running->left -= ran;
      }
      now = next;
      if (running != nullptr && running->burst != Time::never() && running->left == Time{}) {
        running->wakes_at = now + running->pause;
        queue.dequeue(running->thread, now, true);
        switch_now();
      }
      for (Work& work : works) {
        if (work.wakes_at == now) wake(work);
      }
      if (now == next_tick_) {
        queue.tick();
        next_tick_ += queue.tick_period();
      }
      if (queue.should_schedule(SchedulePoint::user_return)) switch_now();
    }
  }

  RunQueue queue;
  std::deque<Work> works;
  Time now;
  std::string trace;              ///< the name picked at each schedule(), "-" for idle
  std::vector<Time> switched_at;  ///< when the running thread changed

 private:
  Work* find(const Thread* thread) {
    for (Work& work : works) {
      if (&work.thread == thread) return &work;
    }
    return nullptr;
  }

  void wake(Work& work) {
    work.wakes_at = Time::never();
    work.left = work.burst;
    work.asked_at = now;
    work.waiting = true;
    queue.enqueue(work.thread, now, true);
  }

  void switch_now() {
    const Thread* before = queue.current();
    Thread* picked = queue.pick_next(now);
    trace += picked != nullptr ? picked->name : "-";
    if (picked != before) switched_at.push_back(now);
    Work* work = find(picked);
    if (work != nullptr && work->waiting) {
      work->waiting = false;
      work->worst_wait = std::max(work->worst_wait, now - work->asked_at);
    }
  }

  Time next_tick_;
};

inline SchedulerParams release(const std::string& name, int hz = 1000, int cpus = 1) {
  SchedulerParams params;
  params.release = name;
  params.hz = hz;
  params.cpus = cpus;
  return params;
}

}  // namespace rxpool::test
