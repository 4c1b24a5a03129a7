// EEVDF against schedules computed by hand; times in the comments are ms of real or virtual time.
#include <catch2/catch.hpp>

#include "models/cpu/run_queue.hpp"
#include "tests/cpu/mini_cpu.hpp"

using namespace rxpool;
using rxpool::test::MiniCpu;
using rxpool::test::release;
using rxpool::test::Work;

namespace {

constexpr std::int64_t kMs = 1'000'000;

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

/// b runs alone until 1.2, a wakes then and is placed beside it (v 1.2), b runs on to 1.5 and sleeps owing 0.15.
void let_b_sleep_in_debt(Pair& pair) {
  pair.queue.enqueue(pair.b, pair.now, true);
  pair.queue.pick_next(pair.now);
  pair.run(1000);
  pair.queue.tick();
  pair.run(200);
  pair.queue.enqueue(pair.a, pair.now, true);
  pair.run(300);
  pair.queue.dequeue(pair.b, pair.now, true);
  REQUIRE(pair.queue.pick_next(pair.now) == &pair.a);
}

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

TEST_CASE("a thread in debt that sleeps stays in the queue until the others caught up", "[SC-31][SC-32][scheduler]") {
  for (const char* name : {"6.12", "6.18", "7.0"}) {
    SchedulerParams params = release(name);
    params.base_slice_ns = 700'000;
    Pair pair(params);
    let_b_sleep_in_debt(pair);
    CHECK(pair.b.delayed);
    CHECK(pair.b.on_queue);
    CHECK(pair.b.state == ThreadState::sleeping);
    CHECK(pair.queue.runnable() == 1);
    pair.run(500);
    CHECK_FALSE(pair.queue.tick());  // a at 1.7, due at 1.9
    pair.run(1000);
    CHECK(pair.queue.tick());  // a at 2.7; V = 2.1: b is out of debt and first in line, so it leaves
    CHECK(pair.queue.pick_next(pair.now) == &pair.a);
    CHECK_FALSE(pair.b.on_queue);
    CHECK_FALSE(pair.b.delayed);
    CHECK(pair.b.vlag == 0);
    CHECK(pair.a.nr_involuntary_switches == 0);
  }
}

TEST_CASE("before 6.12 the debt sleeps with the thread", "[SC-31][scheduler]") {
  SchedulerParams params = release("6.6");
  params.base_slice_ns = 700'000;
  Pair pair(params);
  let_b_sleep_in_debt(pair);
  CHECK_FALSE(pair.b.on_queue);
  CHECK(pair.b.vlag == -150'000);
  pair.run(300);
  pair.queue.enqueue(pair.b, pair.now, true);
  CHECK(pair.b.vruntime == 1'500'000 + 300'000);  // V = 1.5, debt doubled on entry
}

TEST_CASE("a delayed thread that wakes in debt keeps its place, out of debt it loses its credit",
          "[SC-32][scheduler]") {
  SECTION("in debt") {
    Pair pair(release("6.18"));
    let_b_sleep_in_debt(pair);
    pair.run(100);
    pair.queue.enqueue(pair.b, pair.now, true);  // V = 1.4
    CHECK_FALSE(pair.b.delayed);
    CHECK(pair.b.vruntime == 1'500'000);
    CHECK(pair.b.deadline == 1'700'000);
    CHECK(pair.queue.runnable() == 2);
  }
  SECTION("out of debt") {
    Pair pair(release("6.18"));
    let_b_sleep_in_debt(pair);
    pair.run(1000);
    pair.queue.enqueue(pair.b, pair.now, true);  // V = 1.85 with it, 2.2 without
    CHECK(pair.b.vlag == 0);
    CHECK(pair.b.vruntime == 2'200'000);
    CHECK(pair.b.deadline == 2'900'000);
  }
  SECTION("from 7.0 the stored debt only shrinks") {
    Pair pair(release("7.0"));
    let_b_sleep_in_debt(pair);
    CHECK(pair.b.vlag == -150'000);
    pair.run(100);
    pair.queue.enqueue(pair.b, pair.now, true);
    CHECK(pair.b.vlag == -100'000);
  }
  SECTION("from 7.0 a debt that others made larger during the delay is not charged") {
    Pair pair(release("7.0"));
    let_b_sleep_in_debt(pair);
    Thread c;
    c.component_id = 3;
    c.vlag = 1 * kMs;
    pair.queue.attach(c);
    pair.queue.enqueue(c, pair.now, true);  // moves V back
    pair.queue.enqueue(pair.b, pair.now, true);
    CHECK(pair.b.vlag == -150'000);
  }
  SECTION("from 7.0 credit is lost as well") {
    Pair pair(release("7.0"));
    let_b_sleep_in_debt(pair);
    pair.run(1000);
    pair.queue.enqueue(pair.b, pair.now, true);
    CHECK(pair.b.vlag == 0);
    CHECK(pair.b.vruntime == 2'200'000);
  }
}

TEST_CASE("a protected thread that fell asleep in debt leaves as soon as it is eligible", "[SC-26][SC-31][scheduler]") {
  FairQueue queue(scheduler_rules(release("6.12")), 4);
  Thread early, next, sleeper, far;
  const std::int64_t vruntime_ms[] = {-10, 1, 2, 6};
  const std::int64_t deadline_ms[] = {-9, 3, 20, 30};
  std::size_t i = 0;
  for (Thread* thread : {&early, &next, &sleeper, &far}) {
    queue.set_weight(*thread);
    queue.enqueue(*thread, true);
    thread->vruntime = vruntime_ms[i] * kMs;
    thread->deadline = deadline_ms[i++] * kMs;
  }
  queue.set_current(sleeper);
  early.delayed = true;
  queue.dequeue(sleeper, true);  // V = -0.25
  REQUIRE(sleeper.delayed);
  // The early one is chosen first and leaves; V = 3, where protection comes before the earlier deadline of the next.
  CHECK(queue.pick() == &next);
  CHECK_FALSE(early.on_queue);
  CHECK_FALSE(sleeper.on_queue);
}

TEST_CASE("the only thread may leave at once although it has no credit", "[SC-31][scheduler]") {
  Pair pair(release("6.18"));
  pair.queue.enqueue(pair.a, pair.now, true);
  pair.queue.pick_next(pair.now);
  pair.run(1000);
  pair.queue.dequeue(pair.a, pair.now, true);
  CHECK(pair.queue.pick_next(pair.now) == nullptr);
  CHECK_FALSE(pair.a.on_queue);
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
    pair.b.vlag = 90 * kMs;
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
    c.vlag = -3 * kMs;
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
    b.vlag = -1 * kMs;
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
