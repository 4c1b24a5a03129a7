#pragma once
// Two threads on one run queue, driven by hand.

#include <cstdint>

#include "models/cpu/run_queue.hpp"

namespace rxpool::test {

struct Pair {
  explicit Pair(const SchedulerParams& params, int nice_a = 0, int nice_b = 0) : queue(params) {
    a.component_id = 1;
    a.nice = nice_a;
    b.component_id = 2;
    b.nice = nice_b;
    queue.attach(a);
    queue.attach(b);
  }
  void run(std::int64_t us) {
    queue.update_current(microseconds(us));
    now += microseconds(us);
  }
  Thread a, b;
  RunQueue queue;
  Time now;
};

}  // namespace rxpool::test
