// Random workloads against slow, independent oracles: the fluid ideal for shares and lag, exact rational arithmetic for
// eligibility and choice.
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <random>

#include "models/cpu/run_queue.hpp"
#include "tests/cpu/mini_cpu.hpp"

using namespace rxpool;
using rxpool::test::MiniCpu;
using rxpool::test::release;
using rxpool::test::Work;

namespace {

__extension__ using Wide = __int128;

const char* const releases[] = {"5.15", "6.1", "6.6", "6.12", "6.18", "7.0"};

std::uint32_t draw(std::mt19937& random, std::uint32_t below) {
  return static_cast<std::uint32_t>(random()) % below;
}

}  // namespace

TEST_CASE("over a long time busy threads share the CPU by weight within 1 %", "[SC-2][SC-25][SC-46][scheduler]") {
  std::mt19937 random(1);
  for (const char* name : releases) {
    for (int round = 0; round < 4; ++round) {
      MiniCpu cpu(release(name, round % 2 == 0 ? 1000 : 250, 1 << round));
      const std::size_t count = 2 + draw(random, 5);
      double total = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const int nice = static_cast<int>(draw(random, 11)) - 5;
        cpu.add(std::string(1, static_cast<char>('a' + i)), nice);
        total += nice_weight(nice);
      }
      cpu.start();
      cpu.run_until(seconds(60));
      for (const Work& work : cpu.works) {
        const double share = static_cast<double>(work.served.ps) / static_cast<double>(seconds(60).ps);
        INFO(name << " round " << round << " nice " << work.thread.nice);
        CHECK(share == Approx(nice_weight(work.thread.nice) / total).epsilon(0.01));
      }
    }
  }
}

TEST_CASE("EEVDF keeps busy threads within a slice and a tick of the fluid ideal", "[SC-21][SC-25][scheduler]") {
  std::mt19937 random(2);
  for (const char* name : {"6.6", "6.12", "6.18", "7.0"}) {
    for (int round = 0; round < 6; ++round) {
      MiniCpu cpu(release(name, round % 2 == 0 ? 1000 : 250, 8));
      const std::size_t count = 2 + draw(random, 7);
      double total = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const int nice = round < 3 ? 0 : static_cast<int>(draw(random, 7)) - 3;
        cpu.add(std::string(1, static_cast<char>('a' + i)), nice);
        total += nice_weight(nice);
      }
      cpu.start();
      const double bound_ns = static_cast<double>(cpu.queue.rules().base_slice_ns + cpu.queue.rules().tick_ns);
      double worst = 0;
      for (Time until = microseconds(700); until < seconds(2); until += microseconds(1700)) {
        cpu.run_until(until);
        for (const Work& work : cpu.works) {
          const double ideal = static_cast<double>(until.ps) * nice_weight(work.thread.nice) / total;
          worst = std::max(worst, std::abs(ideal - static_cast<double>(work.served.ps)) / 1000);
        }
      }
      INFO(name << " round " << round << " worst " << worst << " bound " << bound_ns);
      CHECK(worst <= bound_ns);
      CHECK(worst > bound_ns / 10);
    }
  }
}

TEST_CASE("a light thread waits no longer than one slice of each other thread", "[SC-25][SC-30][scheduler]") {
  for (const char* name : {"6.6", "6.12", "6.18", "7.0"}) {
    for (const std::size_t hogs : {1, 2, 4, 8}) {
      MiniCpu cpu(release(name, 1000, 8));
      for (std::size_t i = 0; i < hogs; ++i) cpu.add(std::string(1, static_cast<char>('a' + i)));
      Work& light = cpu.add("z");
      light.burst = microseconds(50);
      light.pause = microseconds(7'777);
      cpu.start();
      cpu.run_until(seconds(5));
      INFO(name << " hogs " << hogs << " waited " << light.worst_wait.ps / 1'000'000 << " us");
      // Due a slice after its virtual start, which is (hogs + 1) slices of real time; plus a tick until that is seen.
      const Time bound = nanoseconds(cpu.queue.rules().base_slice_ns) * static_cast<std::int64_t>(hogs + 1);
      CHECK(light.worst_wait <= bound + milliseconds(1));
      CHECK(light.worst_wait > Time{});
    }
  }
}

TEST_CASE("the choice is the earliest deadline among threads with lag, by exact arithmetic",
          "[SC-20][SC-21][SC-25][scheduler]") {
  for (const char* name : {"6.6", "6.12", "6.18", "7.0"}) {
    std::mt19937 random(3);
    SchedulerParams params = release(name);
    params.preempt = PreemptionModel::full;
    RunQueue queue(params);
    std::vector<Thread> threads(9);
    for (std::size_t i = 0; i < threads.size(); ++i) {
      threads[i].component_id = static_cast<std::uint32_t>(i);
      threads[i].nice = static_cast<int>(draw(random, 40)) - 20;
      if (queue.rules().custom_slice && i % 3 == 0) threads[i].slice_ns = 100'000 * (1 + draw(random, 50));
      queue.attach(threads[i]);
    }
    Time now;
    int switches = 0;
    for (int step = 0; step < 40'000; ++step) {
      const Time ran = nanoseconds(draw(random, 400'000));
      now += ran;
      queue.update_current(ran);
      Thread& thread = threads[draw(random, static_cast<std::uint32_t>(threads.size()))];
      switch (draw(random, 4)) {
        case 0:
          queue.enqueue(thread, now, true);
          break;
        case 1:
          if (thread.state != ThreadState::sleeping) queue.dequeue(thread, now, true);
          break;
        case 2:
          queue.tick();
          break;
        default:
          queue.set_nice(thread, static_cast<int>(draw(random, 40)) - 20);
      }
      if (queue.current() != nullptr && !queue.need_resched()) continue;

      const Thread* before = queue.current();
      const Thread* picked = queue.pick_next(now);
      const auto runnable = std::count_if(threads.begin(), threads.end(),
                                          [](const Thread& t) { return t.state != ThreadState::sleeping; });
      REQUIRE(queue.runnable() == static_cast<std::size_t>(runnable));
      REQUIRE((picked == nullptr) == (runnable == 0));
      if (picked == nullptr || picked == before) continue;
      ++switches;
      // Delayed threads that were passed over are still in the queue and count.
      Wide weight = 0;
      Wide moment = 0;
      for (const Thread& t : threads) {
        if (!t.on_queue) continue;
        weight += t.weight;
        moment += Wide{t.vruntime} * t.weight;
      }
      const auto has_lag = [&](const Thread& t) { return Wide{t.vruntime} * weight <= moment; };
      REQUIRE(has_lag(*picked));
      for (const Thread& t : threads) {
        if (t.on_queue && has_lag(t)) REQUIRE(picked->deadline <= t.deadline);
      }
    }
    CHECK(switches > 5'000);
  }
}

TEST_CASE("the CPU is never idle while a thread is runnable, and its time adds up", "[SC-1][scheduler]") {
  std::mt19937 random(4);
  for (const char* name : releases) {
    MiniCpu cpu(release(name));
    for (int i = 0; i < 6; ++i) {
      Work& work = cpu.add(std::string(1, static_cast<char>('a' + i)), static_cast<int>(draw(random, 9)) - 4);
      work.burst = nanoseconds(20'000 + draw(random, 3'000'000));
      work.pause = nanoseconds(20'000 + draw(random, 9'000'000));
    }
    cpu.start();
    Time idle;
    Time last;
    for (Time until = microseconds(10); until < seconds(1); until += microseconds(10)) {
      cpu.run_until(until);
      if (cpu.queue.current() == nullptr) {
        REQUIRE(cpu.queue.runnable() == 0);
        idle += until - last;
      }
      last = until;
    }
    Time served;
    Time waited;
    for (const Work& work : cpu.works) {
      served += work.served;
      waited += work.thread.run_delay;
      CHECK(nanoseconds(work.thread.sum_exec_runtime_ns) <= work.served);
      CHECK(nanoseconds(work.thread.sum_exec_runtime_ns) > work.served - milliseconds(1));
    }
    CHECK(served <= last);
    CHECK(served + idle > last - milliseconds(50));
    CHECK(waited > Time{});
  }
}

TEST_CASE("equal threads are ordered by component id, not by who woke first", "[SC-10][scheduler]") {
  for (const char* name : releases) {
    std::string expected;
    std::vector<std::size_t> order(5);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937 random(5);
    for (int round = 0; round < 10; ++round) {
      MiniCpu cpu(release(name));
      for (const char* thread : {"a", "b", "c", "d", "e"}) cpu.add(thread);
      cpu.start(order);
      cpu.run_until(milliseconds(100));
      if (round == 0) expected = cpu.trace;
      CHECK(cpu.trace == expected);
      for (std::size_t i = order.size() - 1; i > 0; --i) {
        std::swap(order[i], order[draw(random, static_cast<std::uint32_t>(i + 1))]);
      }
    }
  }
}
