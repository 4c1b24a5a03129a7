// Rules that hold for every release: classes, weights, accounting, the request to reschedule, parameters.
#include <catch2/catch.hpp>

#include "models/cpu/run_queue.hpp"
#include "sim/error.hpp"
#include "tests/cpu/mini_cpu.hpp"

using namespace rxpool;
using rxpool::test::MiniCpu;
using rxpool::test::release;

namespace {

Thread fifo_thread(const char* name, std::uint32_t id, int priority) {
  Thread thread;
  thread.name = name;
  thread.component_id = id;
  thread.policy = SchedulingPolicy::fifo;
  thread.rt_priority = priority;
  return thread;
}

Thread normal_thread(const char* name, std::uint32_t id, int nice = 0) {
  Thread thread;
  thread.name = name;
  thread.component_id = id;
  thread.nice = nice;
  return thread;
}

}  // namespace

TEST_CASE("weights fall by about a quarter per nice level and have their inverse", "[SC-2][scheduler]") {
  CHECK(nice_weight(0) == 1024);
  CHECK(nice_weight(-20) == 88761);
  CHECK(nice_weight(19) == 15);
  for (int nice = -20; nice <= 19; ++nice) {
    const double exact = 4294967296.0 / nice_weight(nice);
    CHECK(std::abs(nice_inverse_weight(nice) - exact) < 1.0);
    if (nice > -20) {
      const double ratio = static_cast<double>(nice_weight(nice - 1)) / nice_weight(nice);
      CHECK(ratio > 1.19);
      CHECK(ratio < 1.31);
    }
  }
}

TEST_CASE("scaling by weight is the truncated quotient to within the precision of 32 bits", "[SC-4][scheduler]") {
  // 1 ms at nice 5 (335): 1024 / 335 ms = 3056716.4 ns.
  CHECK(scale_by_weight(1'000'000, nice_0_weight, nice_inverse_weight(5)) == 3'056'716);
  CHECK(scale_by_weight(1'000'000, nice_0_weight, nice_inverse_weight(-5)) == 328'099);
  // Two hours do not overflow: 7.2e12 ns x 1024 / 15.
  const std::int64_t scaled = scale_by_weight(7'200'000'000'000, nice_0_weight, nice_inverse_weight(19));
  CHECK(std::abs(static_cast<double>(scaled) / (7.2e12 * 1024 / 15) - 1.0) < 1e-6);
}

TEST_CASE("a FIFO thread runs before any normal thread and is left by none of its priority",
          "[SC-1][SC-8][scheduler]") {
  RunQueue queue(release("6.18"));
  Thread normal = normal_thread("normal", 1, -20);
  Thread low = fifo_thread("low", 2, 10);
  Thread equal = fifo_thread("equal", 3, 10);
  Thread high = fifo_thread("high", 4, 50);
  for (Thread* thread : {&normal, &low, &equal, &high}) queue.attach(*thread);

  CHECK(queue.enqueue(normal, Time{}, true));
  CHECK(queue.pick_next(Time{}) == &normal);
  CHECK(queue.enqueue(low, Time{}, true));
  CHECK(queue.pick_next(Time{}) == &low);
  CHECK(normal.nr_involuntary_switches == 1);

  queue.update_current(seconds(1));
  CHECK_FALSE(queue.enqueue(equal, seconds(1), true));
  CHECK_FALSE(queue.tick());
  CHECK(queue.enqueue(high, seconds(1), true));
  CHECK(queue.pick_next(seconds(1)) == &high);

  // The preempted one keeps its place before its equal; yielding gives it up.
  queue.dequeue(high, seconds(1), true);
  CHECK(queue.pick_next(seconds(1)) == &low);
  queue.yield();
  CHECK(queue.pick_next(seconds(1)) == &equal);
  queue.dequeue(equal, seconds(1), true);
  CHECK(queue.pick_next(seconds(1)) == &low);
  queue.dequeue(low, seconds(1), true);
  CHECK(queue.pick_next(seconds(1)) == &normal);
  queue.dequeue(normal, seconds(1), true);
  CHECK(queue.pick_next(seconds(1)) == nullptr);
}

TEST_CASE("CPU time counts in whole ns however it is reported", "[SC-3][scheduler]") {
  const auto vruntime_after = [](const std::vector<std::int64_t>& pieces_ps) {
    RunQueue queue(release("6.18"));
    Thread thread = normal_thread("thread", 1, 3);
    queue.attach(thread);
    queue.enqueue(thread, Time{}, true);
    queue.pick_next(Time{});
    for (const std::int64_t piece : pieces_ps) queue.update_current(picoseconds(piece));
    queue.tick();
    return thread.vruntime;
  };
  const std::int64_t whole = vruntime_after({1'000'000'500});
  CHECK(whole == scale_by_weight(1'000'000, nice_0_weight, nice_inverse_weight(3)));
  CHECK(vruntime_after({333'333'333, 333'333'333, 333'333'334, 250, 250}) == whole);

  // Parts of a ns are not lost between two looks.
  RunQueue queue(release("6.18"));
  Thread thread = normal_thread("thread", 1);
  queue.attach(thread);
  queue.enqueue(thread, Time{}, true);
  queue.pick_next(Time{});
  for (int i = 0; i < 1000; ++i) {
    queue.update_current(picoseconds(1'500));
    queue.tick();
  }
  CHECK(thread.sum_exec_runtime_ns == 1'500);
}

TEST_CASE("a request to reschedule is honoured where the preemption model allows", "[SC-5][SC-6][scheduler]") {
  struct Row {
    PreemptionModel model;
    bool kernel, cond_resched, might_sleep;
  };
  const Row rows[] = {{PreemptionModel::none, false, true, false},
                      {PreemptionModel::voluntary, false, true, true},
                      {PreemptionModel::full, true, true, true},
                      {PreemptionModel::lazy, true, true, true}};
  for (const Row& row : rows) {
    SchedulerParams params = release("6.18");
    params.preempt = row.model;
    RunQueue queue(params);
    Thread normal = normal_thread("normal", 1);
    Thread urgent = fifo_thread("urgent", 2, 1);
    queue.attach(normal);
    queue.attach(urgent);
    queue.enqueue(normal, Time{}, true);
    queue.pick_next(Time{});
    CHECK_FALSE(queue.should_schedule(SchedulePoint::user_return));
    queue.enqueue(urgent, Time{}, true);
    CHECK(queue.should_schedule(SchedulePoint::user_return));
    CHECK(queue.should_schedule(SchedulePoint::kernel) == row.kernel);
    CHECK(queue.should_schedule(SchedulePoint::cond_resched) == row.cond_resched);
    CHECK(queue.should_schedule(SchedulePoint::might_sleep) == row.might_sleep);
  }
}

TEST_CASE("lazy preemption asks a fair thread in the kernel to leave only at the tick after", "[SC-6][scheduler]") {
  SchedulerParams params = release("6.18");
  params.preempt = PreemptionModel::lazy;
  RunQueue queue(params);
  Thread a = normal_thread("a", 1);
  Thread b = normal_thread("b", 2);
  queue.attach(a);
  queue.attach(b);
  queue.enqueue(a, Time{}, true);
  CHECK(queue.need_resched());  // idle is left at once
  queue.pick_next(Time{});
  queue.enqueue(b, Time{}, true);
  queue.update_current(milliseconds(1));
  CHECK(queue.tick());  // the slice of 0.7 ms is over
  CHECK(queue.need_resched_lazy());
  CHECK_FALSE(queue.should_schedule(SchedulePoint::kernel));
  CHECK(queue.should_schedule(SchedulePoint::user_return));
  queue.update_current(milliseconds(1));
  queue.tick();
  CHECK(queue.should_schedule(SchedulePoint::kernel));
  CHECK(queue.pick_next(milliseconds(2)) == &b);
  CHECK_FALSE(queue.need_resched());
  CHECK_FALSE(queue.need_resched_lazy());
}

TEST_CASE("run_delay is the time runnable and not running, pcount the times on the CPU", "[SC-51][scheduler]") {
  MiniCpu cpu(release("6.18"));
  test::Work& a = cpu.add("a");
  test::Work& b = cpu.add("b");
  cpu.start();
  cpu.run_until(milliseconds(10));
  CHECK(a.served + b.served == milliseconds(10));
  CHECK(a.thread.run_delay == milliseconds(5));  // 1 to 2, 3 to 4, ... 9 to 10
  CHECK(b.thread.run_delay == milliseconds(5));  // 0 to 1, 2 to 3, ... 8 to 9; since 10 it waits again
  CHECK(a.thread.pcount == 6);
  CHECK(b.thread.pcount == 5);
}

TEST_CASE("a thread taken out while it waits has waited", "[SC-51][scheduler]") {
  RunQueue queue(release("6.18"));
  Thread a = normal_thread("a", 1);
  Thread b = normal_thread("b", 2);
  queue.attach(a);
  queue.attach(b);
  queue.enqueue(a, Time{}, true);
  queue.pick_next(Time{});
  queue.enqueue(b, microseconds(10), true);
  queue.dequeue(b, microseconds(25), false);
  CHECK(b.run_delay == microseconds(15));
  CHECK(queue.current() == &a);
}

TEST_CASE("waking a thread that is awake changes nothing", "[scheduler]") {
  RunQueue queue(release("6.18"));
  Thread a = normal_thread("a", 1);
  queue.attach(a);
  queue.enqueue(a, Time{}, true);
  queue.pick_next(Time{});
  CHECK_FALSE(queue.enqueue(a, Time{}, true));
  CHECK(queue.runnable() == 1);
}

TEST_CASE("wrong parameters are refused with field and range", "[scheduler]") {
  const auto refuses = [](SchedulerParams params, const char* part) {
    CHECK_THROWS_WITH(RunQueue(params), Catch::Contains(part));
  };
  refuses(release("six"), "kernel.release");
  refuses(release("6.18-rc1"), "kernel.release");
  refuses(release("3.10"), "from 4.4 on");
  refuses(release("6.18", 1001), "kernel.hz: 1001");
  refuses(release("6.18", 1000, 0), "cpus: 0");
  SchedulerParams params = release("6.12");
  params.preempt = PreemptionModel::lazy;
  refuses(params, "6.13");
  params = release("6.18");
  params.base_slice_ns = 99'999;
  refuses(params, "kernel.base_slice_ns: 99999 is outside 100000 to 1000000000");

  RunQueue queue(release("6.6"));
  Thread thread = normal_thread("app", 1, 20);
  CHECK_THROWS_AS(queue.attach(thread), InputError);
  thread.nice = 0;
  thread.slice_ns = 1'000'000;
  CHECK_THROWS_WITH(queue.attach(thread), Catch::Contains("6.12"));
  thread.slice_ns = 0;
  thread.policy = SchedulingPolicy::fifo;
  CHECK_THROWS_WITH(queue.attach(thread), Catch::Contains("1 to 99"));
}

TEST_CASE("a CPU takes 64 threads and refuses the next", "[scheduler]") {
  RunQueue queue(release("6.18"));
  std::vector<Thread> threads(RunQueue::max_threads + 1);
  for (std::size_t i = 0; i < RunQueue::max_threads; ++i) queue.attach(threads[i]);
  CHECK_THROWS_AS(queue.attach(threads.back()), InputError);
}
