// The menu governor against choices worked out by hand, and invariants over random idle periods.
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "models/cpu/idle.hpp"
#include "sim/error.hpp"

using namespace rxpool;

namespace {

IdleParams table(const char* states) {
  IdleParams params;
  params.states = states;
  return params;
}

/// Idle for `slept`, with the next timer `timer` ahead; returns the state used.
std::string idle(IdleStates& states, Time& now, Time slept, Time timer) {
  states.enter(now, timer == Time::never() ? timer : now + timer);
  const std::string name = states.state().name;
  now += slept;
  now += states.leave(now);
  return name;
}

}  // namespace

TEST_CASE("the tables hold the latencies and residencies of intel_idle", "[SC-60][idle]") {
  struct Row {
    const char* table;
    std::size_t states;
    std::int64_t c1_exit_us, c1_residency_us, c6_exit_us, c6_residency_us;
  };
  for (const Row& row : {Row{"hsw", 5, 2, 2, 133, 400}, Row{"skx", 4, 2, 2, 133, 600}, Row{"icx", 4, 1, 1, 170, 600},
                         Row{"spr", 4, 1, 1, 290, 800}}) {
    const auto states = idle_states_of(row.table);
    REQUIRE(states.size() == row.states);
    CHECK(std::string(states[0].name) == "POLL");
    CHECK(states[1].exit_latency_ns == row.c1_exit_us * 1000);
    CHECK(states[1].target_residency_ns == row.c1_residency_us * 1000);
    CHECK(std::string(states.back().name) == "C6");
    CHECK(states.back().exit_latency_ns == row.c6_exit_us * 1000);
    CHECK(states.back().target_residency_ns == row.c6_residency_us * 1000);
  }
}

TEST_CASE("without history the next timer decides", "[SC-61][SC-63][idle]") {
  struct Row {
    std::int64_t timer_ns;
    const char* state;
  };
  for (const Row& row :
       {Row{500, "POLL"}, Row{1'500, "C1"}, Row{5'000, "C1E"}, Row{500'000, "C1E"}, Row{2'000'000, "C6"}}) {
    IdleStates states(table("icx"));
    states.enter(Time{}, nanoseconds(row.timer_ns));
    CHECK(std::string(states.state().name) == row.state);
  }
  IdleStates states(table("icx"));
  CHECK(states.enter(Time{}, Time::never()));
  CHECK(std::string(states.state().name) == "C6");
  CHECK(states.leave(seconds(1)) == microseconds(170));
}

TEST_CASE("eight alike intervals are expected to go on, whatever the timer says", "[SC-61][idle]") {
  for (const auto& [slept_us, expected] : {std::pair{50, "C1E"}, std::pair{300, "C3"}, std::pair{5'000, "C6"}}) {
    IdleStates states(table("hsw"));
    Time now;
    for (int i = 0; i < 8; ++i) idle(states, now, microseconds(slept_us + i), Time::never());
    CHECK(idle(states, now, microseconds(slept_us), Time::never()) == expected);
  }
}

TEST_CASE("two outliers among eight intervals are set aside, four are not", "[SC-61][idle]") {
  for (const int outliers : {2, 4}) {
    IdleStates states(table("icx"));
    Time now;
    for (int i = 0; i < 8; ++i) {
      idle(states, now, i < outliers ? milliseconds(90 + i) : microseconds(100), Time::never());
    }
    CHECK(idle(states, now, microseconds(100), Time::never()) == (outliers == 2 ? "C1E" : "C6"));
  }
}

TEST_CASE("a timer that was always too hopeful is discounted", "[SC-62][idle]") {
  // Timer 15 ms, woken after times spread over 0.7 ms, so that no interval is typical: a factor of about mean / 15.
  const auto after = [](int shortest_us) {
    IdleStates states(table("icx"));
    Time now;
    CHECK(idle(states, now, microseconds(shortest_us), milliseconds(15)) == "C6");
    for (int i = 0; i < 80; ++i) idle(states, now, microseconds(shortest_us + 100 * (i % 8)), milliseconds(15));
    return std::pair{states, milliseconds(now / milliseconds(1) + 1)};  // a whole tick ahead
  };
  auto [states, now] = after(50);  // mean 0.4 ms
  CHECK(idle(states, now, microseconds(100), milliseconds(15)) == "C1E");
  auto [longer, later] = after(450);  // mean 0.8 ms, 0.6 are enough
  CHECK(idle(longer, later, microseconds(100), milliseconds(15)) == "C6");
  // Timers of another order of magnitude are still believed.
  CHECK(idle(states, now, milliseconds(1), milliseconds(150)) == "C6");
}

TEST_CASE("a latency limit rules out the states that wake too slowly", "[SC-63][idle]") {
  IdleParams params = table("icx");
  params.latency_limit_us = 100;
  IdleStates limited(params);
  limited.enter(Time{}, Time::never());
  CHECK(std::string(limited.state().name) == "C1E");
  params.latency_limit_us = 0;
  IdleStates polling(params);
  CHECK_FALSE(polling.enter(Time{}, Time::never()));
  CHECK(std::string(polling.state().name) == "POLL");
  CHECK(polling.leave(milliseconds(1)) == Time{});
}

TEST_CASE("a tick that keeps running bounds the depth", "[SC-64][idle]") {
  IdleStates states(table("icx"));
  // 0.7 ms to the timer, but the tick comes in 0.3: C6 (0.6) is not worth it.
  CHECK_FALSE(states.enter(microseconds(700), microseconds(1'400)));
  CHECK(std::string(states.state().name) == "C1E");
  // The same timer with the tick 0.9 ms away.
  IdleStates early(table("icx"));
  CHECK_FALSE(early.enter(microseconds(100), microseconds(800)));
  CHECK(std::string(early.state().name) == "C6");
}

TEST_CASE("being woken by the tick counts as a long sleep", "[SC-65][idle]") {
  const auto after_ticks = [](bool by_tick) {
    IdleStates states(table("icx"));
    Time now;
    for (int i = 0; i < 8; ++i) {
      states.enter(now, now + seconds(1));
      now += microseconds(100);
      now += states.leave(now, by_tick);
    }
    states.enter(now, now + seconds(1));
    return std::string(states.state().name);
  };
  CHECK(after_ticks(false) == "C1E");
  CHECK(after_ticks(true) == "C6");
}

TEST_CASE("counters follow cpuidle: usage, time, above and below", "[SC-66][SC-67][idle]") {
  IdleStates states(table("icx"));
  Time now;
  REQUIRE(idle(states, now, microseconds(50), Time::never()) == "C6");  // 50 + 170 < 600
  CHECK(states.counters(3).usage == 1);
  CHECK(states.counters(3).time == microseconds(220));
  CHECK(states.counters(3).above == 1);
  CHECK(now == microseconds(220));
  REQUIRE(idle(states, now, milliseconds(1), Time::never()) == "C6");
  CHECK(states.counters(3).above == 1);
  REQUIRE(idle(states, now, milliseconds(2), microseconds(100)) == "C1E");
  CHECK(states.counters(2).below == 1);
  REQUIRE(idle(states, now, microseconds(100), microseconds(100)) == "C1E");
  CHECK(states.counters(2).below == 1);
  CHECK(states.counters(2).above == 0);
}

TEST_CASE("no choice breaks even after the timer or wakes slower than allowed", "[SC-62][SC-63][idle]") {
  std::mt19937 random(7);
  const auto below = [&](std::uint32_t limit) { return static_cast<std::int64_t>(random() % limit); };
  for (const char* name : {"hsw", "skx", "icx", "spr"}) {
    IdleParams params = table(name);
    params.latency_limit_us = 150;
    IdleStates states(params);
    Time now;
    std::uint64_t used = 0;
    for (int i = 0; i < 20'000; ++i) {
      const Time timer = nanoseconds(below(1'000) * (i % 3 == 0 ? 100'000 : 1'000) + 1);
      states.enter(now, now + timer);
      REQUIRE(nanoseconds(states.state().target_residency_ns) <= timer);
      REQUIRE(states.state().exit_latency_ns <= 150'000);
      now += std::min(timer, nanoseconds(below(300'000)));
      now += states.leave(now);
    }
    for (std::size_t state = 0; state < states.states().size(); ++state) used += states.counters(state).usage;
    CHECK(used == 20'000);
    CHECK(states.counters(1).usage > 0);
  }
}

TEST_CASE("wrong idle parameters are refused", "[idle]") {
  CHECK_THROWS_WITH(IdleStates(table("zen")), Catch::Contains("idle.states: \"zen\""));
  IdleParams params = table("icx");
  params.deepest = "C3";
  CHECK_THROWS_AS(IdleStates(params), InputError);
  params = table("hsw");
  params.deepest = "C3";
  IdleStates states(params);
  CHECK(states.states().size() == 4);
  params.latency_limit_us = -1;
  CHECK_THROWS_WITH(IdleStates(params), Catch::Contains("idle.latency_limit_us"));
  params = table("icx");
  params.hz = 0;
  CHECK_THROWS_WITH(IdleStates(params), Catch::Contains("idle.hz"));
}
