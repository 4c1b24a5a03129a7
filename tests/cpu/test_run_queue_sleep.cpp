// Threads that go to sleep in debt under EEVDF, computed by hand; times in the comments are ms.
#include <catch2/catch.hpp>

#include "models/cpu/run_queue.hpp"
#include "tests/cpu/mini_cpu.hpp"
#include "tests/cpu/pair.hpp"

using namespace rxpool;
using rxpool::test::Pair;
using rxpool::test::release;

namespace {

constexpr std::int64_t ms_in_ns = 1'000'000;

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
    c.vlag = 1 * ms_in_ns;
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
    thread->vruntime = vruntime_ms[i] * ms_in_ns;
    thread->deadline = deadline_ms[i++] * ms_in_ns;
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
