// CFS (releases before 6.6) against schedules computed by hand; times in the comments are ms.
#include <catch2/catch.hpp>

#include "models/cpu/run_queue.hpp"
#include "tests/cpu/mini_cpu.hpp"

using namespace rxpool;
using rxpool::test::MiniCpu;
using rxpool::test::release;

namespace {

struct Trio {
  explicit Trio(const SchedulerParams& params = release("6.1")) : queue(params) {
    std::uint32_t id = 0;
    for (Thread* thread : {&a, &b, &c}) {
      thread->component_id = ++id;
      queue.attach(*thread);
    }
  }
  void run(std::int64_t us) {
    queue.update_current(microseconds(us));
    now += microseconds(us);
  }
  Thread a, b, c;
  RunQueue queue;
  Time now;
};

}  // namespace

TEST_CASE("CFS tunables grow with the logarithm of the CPUs, up to eight", "[SC-40][scheduler]") {
  struct Row {
    int cpus, factor;
  };
  for (const Row& row : {Row{1, 1}, Row{2, 2}, Row{3, 2}, Row{4, 3}, Row{7, 3}, Row{8, 4}, Row{128, 4}}) {
    const SchedulerRules rules = scheduler_rules(release("5.15", 250, row.cpus));
    CHECK(rules.latency_ns == 6'000'000 * row.factor);
    CHECK(rules.min_granularity_ns == 750'000 * row.factor);
    CHECK(rules.wakeup_granularity_ns == 1'000'000 * row.factor);
    CHECK_FALSE(rules.eevdf);
  }
  SchedulerParams tuned = release("5.15", 250, 8);
  tuned.latency_ns = 10'000'000;
  CHECK(scheduler_rules(tuned).latency_ns == 10'000'000);
}

TEST_CASE("CFS threads take turns of the latency divided by weight", "[SC-41][SC-44][scheduler]") {
  SECTION("two equal threads: 3 of 6 ms, less 2 ns of truncation, so the third tick is past it") {
    MiniCpu cpu(release("6.1"));
    cpu.add("a");
    cpu.add("b");
    cpu.start();
    cpu.run_until(milliseconds(16));
    CHECK(cpu.trace == "ababab");
    CHECK(cpu.switched_at[1] == milliseconds(3));
    CHECK(cpu.switched_at[2] == milliseconds(6));
  }
  SECTION("nine threads: nine times the granularity of 0.75, so every tick") {
    MiniCpu cpu(release("6.1"));
    for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h", "i"}) cpu.add(name);
    cpu.start();
    cpu.run_until(milliseconds(10));
    CHECK(cpu.trace == "abcdefghiab");
  }
}

TEST_CASE("more than eight CFS threads stretch the period", "[SC-41][scheduler]") {
  // Nice -5 (3121) among nine at 0: 3121 / 12337 of 10 x 0.75 is 1.897 ms; of 6 it would be 1.518.
  for (const int ran_us : {1'890, 1'900}) {
    RunQueue queue(release("6.1"));
    std::vector<Thread> threads(10);
    threads[0].nice = -5;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      threads[i].component_id = static_cast<std::uint32_t>(i);
      queue.attach(threads[i]);
      queue.enqueue(threads[i], Time{}, true);
    }
    REQUIRE(queue.pick_next(Time{}) == &threads[0]);
    queue.update_current(microseconds(ran_us));
    CHECK(queue.tick() == (ran_us == 1'900));
  }
}

TEST_CASE("min_vruntime does not follow a sleeper back", "[SC-42][SC-43][scheduler]") {
  Trio trio;
  trio.queue.enqueue(trio.a, trio.now, true);
  trio.queue.pick_next(trio.now);
  trio.run(20'000);
  trio.queue.enqueue(trio.b, trio.now, true);
  trio.run(100);
  trio.queue.tick();
  trio.queue.enqueue(trio.c, trio.now, true);
  CHECK(trio.c.vruntime == trio.b.vruntime);
}

TEST_CASE("a CFS thread that fell behind by more than a turn gets the CPU at the next tick", "[SC-44][scheduler]") {
  Trio trio;
  trio.queue.enqueue(trio.a, trio.now, true);
  trio.queue.enqueue(trio.b, trio.now, true);
  trio.queue.pick_next(trio.now);
  trio.a.vruntime += 2'500'000;
  trio.run(1000);
  CHECK(trio.queue.tick());  // a ran 1, not 3, but is 3.5 ahead of b
}

TEST_CASE("a CFS sleeper wakes half a latency behind, but not behind where it was", "[SC-43][SC-45][scheduler]") {
  Trio trio;
  trio.queue.enqueue(trio.a, trio.now, true);
  trio.queue.enqueue(trio.b, trio.now, true);
  REQUIRE(trio.queue.pick_next(trio.now) == &trio.a);
  trio.run(100);
  trio.queue.dequeue(trio.a, trio.now, true);
  REQUIRE(trio.queue.pick_next(trio.now) == &trio.b);

  SECTION("after a long sleep") {
    trio.run(50'000);
    CHECK(trio.queue.enqueue(trio.a, trio.now, true));
    CHECK(trio.a.vruntime == trio.b.vruntime - 3'000'000);
    CHECK(trio.queue.pick_next(trio.now) == &trio.a);
  }
  SECTION("after a short sleep") {
    const std::int64_t before = trio.a.vruntime;
    trio.run(500);
    CHECK_FALSE(trio.queue.enqueue(trio.a, trio.now, true));  // 0.4 behind b, less than 1
    CHECK(trio.a.vruntime == before);
  }
}

TEST_CASE("CFS wake-up preemption needs more than the wake-up granularity", "[SC-45][scheduler]") {
  for (const std::int64_t extra_ns : {0, 1}) {
    Trio trio;
    trio.queue.enqueue(trio.a, trio.now, true);
    trio.queue.enqueue(trio.b, trio.now, true);
    trio.queue.pick_next(trio.now);
    trio.queue.dequeue(trio.b, trio.now, true);
    trio.queue.update_current(nanoseconds(1'000'000 + extra_ns));
    CHECK(trio.queue.enqueue(trio.b, trio.now, true) == (extra_ns == 1));
  }
}

TEST_CASE("the thread that preempted on wake-up is picked before one further left", "[SC-46][scheduler]") {
  Trio trio;
  trio.queue.enqueue(trio.a, trio.now, true);
  trio.queue.enqueue(trio.b, trio.now, true);
  trio.queue.enqueue(trio.c, trio.now, true);
  REQUIRE(trio.queue.pick_next(trio.now) == &trio.a);
  trio.queue.dequeue(trio.c, trio.now, true);
  trio.c.vruntime += 500'000;
  trio.run(2000);
  CHECK(trio.queue.enqueue(trio.c, trio.now, true));  // a is 2 ahead of b, 1.5 ahead of c
  CHECK(trio.b.vruntime < trio.c.vruntime);
  CHECK(trio.queue.pick_next(trio.now) == &trio.c);
}

TEST_CASE("a wake-up while a reschedule is already due claims nothing", "[SC-45][SC-46][scheduler]") {
  Trio trio;
  trio.queue.enqueue(trio.a, trio.now, true);
  trio.queue.enqueue(trio.b, trio.now, true);
  trio.queue.enqueue(trio.c, trio.now, true);
  REQUIRE(trio.queue.pick_next(trio.now) == &trio.a);
  trio.queue.dequeue(trio.c, trio.now, true);
  trio.c.vruntime += 500'000;
  trio.run(4000);
  REQUIRE(trio.queue.tick());
  trio.queue.enqueue(trio.c, trio.now, true);
  CHECK(trio.queue.pick_next(trio.now) == &trio.b);
}

TEST_CASE("a new CFS thread starts a turn behind", "[SC-43][scheduler]") {
  Trio trio;
  trio.queue.enqueue(trio.a, trio.now, true);
  trio.queue.pick_next(trio.now);
  trio.run(5000);
  trio.queue.enqueue(trio.b, trio.now, false);
  // 3 ms less the truncation of two divisions.
  CHECK(trio.b.vruntime == trio.a.vruntime + 2'999'998);
}

TEST_CASE("CFS yield lets the next thread go first unless that were unfair", "[SC-47][scheduler]") {
  for (const bool unfair : {false, true}) {
    Trio trio;
    trio.queue.enqueue(trio.a, trio.now, true);
    trio.queue.enqueue(trio.b, trio.now, true);
    trio.queue.pick_next(trio.now);
    trio.b.vruntime += unfair ? 1'500'000 : 500'000;
    trio.queue.yield();
    CHECK(trio.queue.pick_next(trio.now) == (unfair ? &trio.a : &trio.b));
  }
}

TEST_CASE("a CFS thread taken out without sleep keeps its distance to min_vruntime", "[SC-42][SC-43][scheduler]") {
  Trio trio;
  trio.queue.enqueue(trio.a, trio.now, true);
  trio.queue.enqueue(trio.b, trio.now, true);
  REQUIRE(trio.queue.pick_next(trio.now) == &trio.a);
  trio.run(10'000);
  trio.queue.tick();
  REQUIRE(trio.queue.pick_next(trio.now) == &trio.b);
  trio.run(5'000);  // both started at -3: a at 7, b and min_vruntime at 2
  trio.queue.dequeue(trio.a, trio.now, false);
  CHECK(trio.a.vruntime == 5'000'000);
  trio.run(3'000);
  trio.queue.enqueue(trio.a, trio.now, false);
  CHECK(trio.b.vruntime == 5'000'000);
  CHECK(trio.a.vruntime == 10'000'000);
}
