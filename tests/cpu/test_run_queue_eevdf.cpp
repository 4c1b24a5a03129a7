// EEVDF against schedules computed by hand; times in the comments are ms of real or virtual time.
#include <catch2/catch.hpp>

#include "models/cpu/run_queue.hpp"
#include "tests/cpu/mini_cpu.hpp"
#include "tests/cpu/pair.hpp"

using namespace rxpool;
using rxpool::test::MiniCpu;
using rxpool::test::Pair;
using rxpool::test::release;
using rxpool::test::Work;

namespace {

constexpr std::int64_t ms_in_ns = 1'000'000;

}  // namespace

TEST_CASE("two equal threads alternate at the first tick after the slice", "[SC-7][SC-24][SC-27][scheduler]") {
  struct Row {
    const char* release;
    int hz, cpus;
    std::int64_t slice_ns;
    std::int64_t turn_ms;
  };
  // 0.70 x 1, x 3 (4 CPUs), x 4 (8 and more); 0.75 before 6.15; HZ 250 makes every turn 4 ms.
  const Row rows[] = {{"6.18", 1000, 1, 700'000, 1},   {"6.18", 1000, 4, 2'100'000, 3},
                      {"6.18", 1000, 8, 2'800'000, 3}, {"6.18", 1000, 64, 2'800'000, 3},
                      {"6.12", 1000, 8, 3'000'000, 3}, {"6.6", 1000, 1, 750'000, 1},
                      {"6.18", 250, 8, 2'800'000, 4},  {"7.0", 1000, 2, 1'400'000, 2}};
  for (const Row& row : rows) {
    MiniCpu cpu(release(row.release, row.hz, row.cpus));
    CHECK(cpu.queue.rules().base_slice_ns == row.slice_ns);
    cpu.add("a");
    cpu.add("b");
    cpu.start();
    cpu.run_until(milliseconds(6 * row.turn_ms));
    INFO(row.release << " HZ " << row.hz << " cpus " << row.cpus << " trace " << cpu.trace);
    REQUIRE(cpu.switched_at.size() == 7);
    for (std::size_t i = 0; i < cpu.switched_at.size(); ++i) {
      CHECK(cpu.switched_at[i] == milliseconds(row.turn_ms * static_cast<std::int64_t>(i)));
    }
  }
}

TEST_CASE("a thread alone in the queue runs on without a request", "[SC-27][scheduler]") {
  for (const char* name : {"6.6", "6.12", "6.18", "7.0"}) {
    Pair pair(release(name));
    pair.queue.enqueue(pair.a, pair.now, true);
    pair.queue.pick_next(pair.now);
    for (int i = 0; i < 5; ++i) {
      pair.run(1000);
      CHECK_FALSE(pair.queue.tick());
    }
  }
}

TEST_CASE("the mean is rounded down on both sides of zero, so that a thread at it is eligible", "[SC-20][scheduler]") {
  for (const auto& [vruntime, mean] : {std::pair{-1, -1}, std::pair{1, 0}, std::pair{-3, -2}}) {
    FairQueue queue(scheduler_rules(release("6.18")), 3);
    Thread a, b, c;
    for (Thread* thread : {&a, &b, &c}) queue.set_weight(*thread);
    queue.enqueue(a, true);
    queue.enqueue(b, true);
    a.vruntime = vruntime;
    CHECK(queue.avg_vruntime() == mean);
    queue.enqueue(c, true);
    CHECK(c.vruntime == mean);
    CHECK(queue.eligible(c));
  }
}

TEST_CASE("a new thread is due after half a slice, a woken one after a whole slice", "[SC-23][SC-29][scheduler]") {
  Pair pair(release("6.18"));
  pair.queue.enqueue(pair.a, pair.now, false);
  pair.queue.enqueue(pair.b, pair.now, true);
  CHECK(pair.a.deadline == 350'000);
  CHECK(pair.b.deadline == 700'000);
}

TEST_CASE("a thread that wakes without lag waits for the slice of the running one", "[SC-30][scheduler]") {
  for (const char* name : {"6.6", "6.12", "6.18", "7.0"}) {
    SchedulerParams params = release(name);
    params.preempt = PreemptionModel::full;
    Pair pair(params);
    pair.queue.enqueue(pair.a, pair.now, true);
    pair.queue.pick_next(pair.now);
    pair.run(100);
    CHECK_FALSE(pair.queue.enqueue(pair.b, pair.now, true));
    CHECK(pair.b.vruntime == 100'000);
    CHECK(pair.b.deadline == 100'000 + pair.queue.rules().base_slice_ns);
    pair.run(900);
    CHECK(pair.queue.tick());
    CHECK(pair.queue.pick_next(pair.now) == &pair.b);
  }
}

TEST_CASE("a thread that is owed service preempts when it wakes", "[SC-21][SC-28][SC-30][scheduler]") {
  for (const char* name : {"6.6", "6.12", "6.18"}) {
    SchedulerParams params = release(name);
    params.base_slice_ns = 700'000;
    Pair pair(params);
    pair.queue.enqueue(pair.a, pair.now, true);
    pair.queue.enqueue(pair.b, pair.now, true);
    REQUIRE(pair.queue.pick_next(pair.now) == &pair.a);
    pair.run(1000);
    pair.queue.tick();
    REQUIRE(pair.queue.pick_next(pair.now) == &pair.b);
    pair.run(200);
    pair.queue.dequeue(pair.b, pair.now, true);  // V = (1 + 0.2) / 2 = 0.6
    CHECK(pair.b.vlag == 400'000);
    CHECK_FALSE(pair.b.on_queue);
    REQUIRE(pair.queue.pick_next(pair.now) == &pair.a);
    pair.run(2300);
    // V = 3.3; the lag doubles on entry because b is half the weight afterwards.
    CHECK(pair.queue.enqueue(pair.b, pair.now, true));
    CHECK(pair.b.vruntime == 2'500'000);
    CHECK(pair.b.deadline == 3'200'000);
    CHECK(pair.queue.pick_next(pair.now) == &pair.b);
  }
}

TEST_CASE("placement gives a thread the lag it left with, whatever the weights", "[SC-28][scheduler]") {
  for (const int nice : {-10, 0, 10}) {
    Pair pair(release("6.18"), 0, nice);
    pair.queue.enqueue(pair.a, pair.now, true);
    pair.b.vlag = 300'000;
    pair.queue.enqueue(pair.b, pair.now, true);
    pair.queue.pick_next(pair.now);
    const double weight_a = 1024;
    const double weight_b = nice_weight(nice);
    const double mean =
        (weight_a * static_cast<double>(pair.a.vruntime) + weight_b * static_cast<double>(pair.b.vruntime)) /
        (weight_a + weight_b);
    CHECK(mean - static_cast<double>(pair.b.vruntime) == Approx(300'000).margin(2));
  }
}

TEST_CASE("lag is kept within two slices or a tick, from 7.0 within the longest slice and a tick",
          "[SC-22][scheduler]") {
  struct Row {
    const char* release;
    int hz;
    std::int64_t limit_ns;
  };
  for (const Row& row : {Row{"6.18", 1000, 1'400'000}, Row{"6.18", 100, 10'000'000}, Row{"7.0", 1000, 1'700'000}}) {
    Pair pair(release(row.release, row.hz));
    pair.queue.enqueue(pair.a, pair.now, true);
    pair.queue.pick_next(pair.now);
    pair.b.vlag = 90 * ms_in_ns;
    pair.queue.enqueue(pair.b, pair.now, true);
    pair.queue.dequeue(pair.b, pair.now, true);
    CHECK(pair.b.vlag == row.limit_ns);
  }
}

TEST_CASE("an eligible running thread is protected to its deadline, but not from a shorter slice",
          "[SC-26][SC-30][SC-35][scheduler]") {
  struct Row {
    const char* release;
    std::int64_t woken_slice_ns;
    bool preempts;
  };
  for (const Row& row : {Row{"6.6", 0, false}, Row{"6.12", 0, false}, Row{"6.18", 0, false},
                         Row{"6.12", 1'000'000, true}, Row{"6.18", 1'000'000, true}, Row{"7.0", 1'000'000, true}}) {
    INFO(row.release << " slice " << row.woken_slice_ns);
    SchedulerParams params = release(row.release);
    params.base_slice_ns = 2'100'000;
    params.preempt = PreemptionModel::full;
    RunQueue queue(params);
    Thread a, b, c;
    a.component_id = 1;
    b.component_id = 2;
    b.slice_ns = row.woken_slice_ns;
    c.component_id = 3;
    for (Thread* thread : {&a, &b, &c}) queue.attach(*thread);
    queue.enqueue(a, Time{}, true);  // v 0, due 2.1
    queue.pick_next(Time{});
    c.vlag = -3 * ms_in_ns;
    queue.enqueue(c, Time{}, true);  // v 6, so V = 3 and a stays eligible
    b.vlag = 2'200'000;
    CHECK(queue.enqueue(b, Time{}, true) == row.preempts);  // v -0.3, due 1.8 or 0.7: earlier than a
    CHECK(b.vruntime == -300'000);
    CHECK(b.deadline < a.deadline);
    CHECK(queue.pick_next(Time{}) == (row.preempts ? &b : &a));
  }
}

TEST_CASE("from 6.17 protection ends after the shortest slice in the queue", "[SC-26][scheduler]") {
  for (const char* name : {"6.12", "6.18"}) {
    SchedulerParams params = release(name);
    params.base_slice_ns = 3'000'000;
    RunQueue queue(params);
    Thread a, b;
    a.component_id = 1;
    b.component_id = 2;
    b.slice_ns = 500'000;
    queue.attach(a);
    queue.attach(b);
    queue.enqueue(b, Time{}, true);
    queue.enqueue(a, Time{}, true);
    REQUIRE(queue.pick_next(Time{}) == &b);
    queue.update_current(microseconds(600));
    queue.tick();
    REQUIRE(queue.pick_next(Time{}) == &a);
    const bool by_vruntime = queue.rules().protect_by_vruntime;
    CHECK(a.protected_until == (by_vruntime ? 500'000 : 3'000'000));
    queue.update_current(microseconds(1'000));
    CHECK(queue.tick() == by_vruntime);
  }
}

TEST_CASE("from 6.17 a shorter slice that does not win the CPU shortens the protection", "[SC-30][scheduler]") {
  for (const char* name : {"6.12", "6.18"}) {
    SchedulerParams params = release(name);
    params.base_slice_ns = 3'000'000;
    RunQueue queue(params);
    Thread a, b;
    a.component_id = 1;
    b.component_id = 2;
    b.slice_ns = 500'000;
    queue.attach(a);
    queue.attach(b);
    queue.enqueue(a, Time{}, true);
    queue.pick_next(Time{});
    b.vlag = -1 * ms_in_ns;
    CHECK_FALSE(queue.enqueue(b, Time{}, true));
    CHECK(a.protected_until == (queue.rules().protect_by_vruntime ? 500'000 : 3'000'000));
  }
}

TEST_CASE("yield forfeits the slice from 6.18 and moves the deadline before", "[SC-33][scheduler]") {
  SECTION("6.18") {
    Pair pair(release("6.18"));
    pair.queue.enqueue(pair.a, pair.now, true);
    pair.queue.enqueue(pair.b, pair.now, true);
    pair.queue.pick_next(pair.now);
    pair.queue.yield();
    CHECK(pair.a.vruntime == 700'000);
    CHECK(pair.a.deadline == 1'400'000);
    CHECK(pair.queue.pick_next(pair.now) == &pair.b);
  }
  SECTION("6.12") {
    Pair pair(release("6.12"));
    pair.queue.enqueue(pair.a, pair.now, true);
    pair.queue.enqueue(pair.b, pair.now, true);
    pair.queue.pick_next(pair.now);
    pair.queue.yield();
    CHECK(pair.a.vruntime == 0);
    CHECK(pair.a.deadline == 1'500'000);
    CHECK(pair.queue.pick_next(pair.now) == &pair.b);
  }
  SECTION("alone it is no change") {
    Pair pair(release("6.18"));
    pair.queue.enqueue(pair.a, pair.now, true);
    pair.queue.pick_next(pair.now);
    pair.queue.yield();
    CHECK(pair.a.vruntime == 0);
  }
}

TEST_CASE("a new nice level keeps weight times lag and the mean", "[SC-34][scheduler]") {
  Pair pair(release("6.18"));
  pair.queue.enqueue(pair.a, pair.now, true);
  pair.queue.enqueue(pair.b, pair.now, true);
  pair.queue.pick_next(pair.now);
  pair.run(600);  // a 0.6, b 0, V 0.3
  pair.queue.set_nice(pair.b, 5);
  // Lag of b was 0.3 x 1024, so now 0.3 x 1024 / 335 below V; its slice of 0.7 stretches alike: due at 0.3 + 0.4
  // x 3.06.
  CHECK(pair.b.vruntime == 300'000 - 300'000 * 1024 / 335);
  CHECK(pair.b.deadline == 300'000 + 400'000 * 1024 / 335);
  const double mean = (600'000.0 * 1024 + static_cast<double>(pair.b.vruntime) * 335) / (1024 + 335);
  CHECK(mean == Approx(300'000).margin(1));
}

TEST_CASE("making the running thread nicer asks for a reschedule", "[SC-34][scheduler]") {
  Pair pair(release("6.18"));
  pair.queue.enqueue(pair.a, pair.now, true);
  pair.queue.enqueue(pair.b, pair.now, true);
  pair.queue.pick_next(pair.now);
  CHECK_FALSE(pair.queue.set_nice(pair.a, -3));
  CHECK(pair.queue.set_nice(pair.a, 4));
}

TEST_CASE("taken out without sleep, a thread comes back as far from its deadline", "[SC-36][scheduler]") {
  Pair pair(release("6.18"));
  pair.queue.enqueue(pair.a, pair.now, true);
  pair.queue.enqueue(pair.b, pair.now, true);
  pair.queue.pick_next(pair.now);
  pair.run(200);
  pair.queue.dequeue(pair.a, pair.now, false);
  CHECK_FALSE(pair.a.on_queue);
  CHECK(pair.a.deadline == 500'000);
  REQUIRE(pair.queue.pick_next(pair.now) == &pair.b);
  pair.queue.enqueue(pair.a, pair.now, false);
  CHECK(pair.a.deadline - pair.a.vruntime == 500'000);
}

TEST_CASE("ksoftirqd shares evenly with a busy application and waits its turn", "[SC-50][scheduler]") {
  MiniCpu cpu(release("6.18", 250, 8));
  Work& application = cpu.add("a");
  Work& ksoftirqd = cpu.add("k");
  cpu.start();
  cpu.run_until(milliseconds(400));
  CHECK(application.served == milliseconds(200));
  CHECK(ksoftirqd.served == milliseconds(200));
  CHECK(ksoftirqd.worst_wait == milliseconds(4));
}
