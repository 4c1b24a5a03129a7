#include "models/cpu/idle.hpp"

#include <algorithm>
#include <limits>

#include "sim/error.hpp"

namespace rxpool {
namespace {

constexpr std::int64_t us_in_ns = 1'000;

// intel_idle.c: hsw_cstates (to C6, all that servers have), skx_cstates, icx_cstates, spr_cstates; poll_state.c.
constexpr IdleState poll_state = {"POLL", 0, 0};
constexpr std::array<IdleState, 5> haswell_states = {{poll_state,
                                                      {"C1", 2 * us_in_ns, 2 * us_in_ns},
                                                      {"C1E", 10 * us_in_ns, 20 * us_in_ns},
                                                      {"C3", 33 * us_in_ns, 100 * us_in_ns},
                                                      {"C6", 133 * us_in_ns, 400 * us_in_ns}}};
constexpr std::array<IdleState, 4> skylake_states = {{poll_state,
                                                      {"C1", 2 * us_in_ns, 2 * us_in_ns},
                                                      {"C1E", 10 * us_in_ns, 20 * us_in_ns},
                                                      {"C6", 133 * us_in_ns, 600 * us_in_ns}}};
constexpr std::array<IdleState, 4> ice_lake_states = {{poll_state,
                                                       {"C1", 1 * us_in_ns, 1 * us_in_ns},
                                                       {"C1E", 4 * us_in_ns, 4 * us_in_ns},
                                                       {"C6", 170 * us_in_ns, 600 * us_in_ns}}};
constexpr std::array<IdleState, 4> sapphire_rapids_states = {{poll_state,
                                                              {"C1", 1 * us_in_ns, 1 * us_in_ns},
                                                              {"C1E", 2 * us_in_ns, 4 * us_in_ns},
                                                              {"C6", 290 * us_in_ns, 800 * us_in_ns}}};
constexpr std::array<IdleState, 1> poll_only_states = {{poll_state}};

// menu.c, gov.h.
constexpr std::int64_t unity = 1024 * 8;  ///< RESOLUTION x DECAY
constexpr std::int64_t resolution = 1024;
constexpr std::int64_t max_interesting_ns = 50'000 * us_in_ns;
constexpr std::int64_t short_residency_ns = 15 * us_in_ns;
constexpr std::int64_t far_ns = std::int64_t{1}
                                << 40;  ///< stands for "no timer"; the clock's own limit is minutes, too

std::size_t bucket_of(std::int64_t duration_ns) {
  std::size_t bucket = 0;
  for (std::int64_t limit = 10 * us_in_ns; bucket < 5 && duration_ns >= limit; limit *= 10) ++bucket;
  return bucket;
}

std::span<const IdleState> cut_at(std::span<const IdleState> states, const IdleParams& params) {
  if (params.deepest.empty()) return states;
  const auto it =
      std::find_if(states.begin(), states.end(), [&](const IdleState& s) { return params.deepest == s.name; });
  if (it == states.end()) throw InputError("idle.deepest: \"" + params.deepest + "\" is no state of " + params.states);
  return states.first(static_cast<std::size_t>(it - states.begin()) + 1);
}

}  // namespace

std::span<const IdleState> idle_states_of(const std::string& table) {
  if (table == "hsw") return haswell_states;
  if (table == "skx") return skylake_states;
  if (table == "icx") return ice_lake_states;
  if (table == "spr") return sapphire_rapids_states;
  if (table == "poll") return poll_only_states;
  throw InputError("idle.states: \"" + table + "\" is not one of hsw, skx, icx, spr, poll");
}

IdleStates::IdleStates(const IdleParams& params)
    : states_(cut_at(params.table.empty() ? idle_states_of(params.states) : params.table, params)),
      tick_ns_(0),
      latency_limit_ns_(std::numeric_limits<std::int64_t>::max()),
      counters_(states_.size()) {
  if (params.hz < 100 || params.hz > 1000) {
    throw InputError("idle.hz: " + std::to_string(params.hz) + " is outside 100 to 1000");
  }
  tick_ns_ = (1'000'000'000 + params.hz / 2) / params.hz;
  if (params.latency_limit_us) {
    if (*params.latency_limit_us < 0 || *params.latency_limit_us > 2'000'000'000) {
      throw InputError("idle.latency_limit_us: " + std::to_string(*params.latency_limit_us) +
                       " is outside 0 to 2000000000");
    }
    latency_limit_ns_ = *params.latency_limit_us * us_in_ns;
  }
  correction_.fill(unity);
}

std::optional<std::int64_t> IdleStates::typical_interval_us() const {
  std::int64_t threshold = std::numeric_limits<std::int64_t>::max();
  for (;;) {
    std::int64_t sum = 0;
    std::int64_t count = 0;
    std::int64_t longest = 0;
    for (const std::int64_t value : intervals_us_) {
      if (value > threshold) continue;
      sum += value;
      ++count;
      longest = std::max(longest, value);
    }
    if (longest == 0) return std::nullopt;
    const std::int64_t average = sum / count;
    std::int64_t variance = 0;
    for (const std::int64_t value : intervals_us_) {
      if (value <= threshold) variance += (value - average) * (value - average);
    }
    variance /= count;
    constexpr auto all_intervals = static_cast<std::int64_t>(interval_count);
    if (variance <= 400 || (average * average > 36 * variance && count * 4 >= all_intervals * 3)) return average;
    if (count * 4 <= all_intervals * 3) return std::nullopt;
    threshold = longest - 1;
  }
}

bool IdleStates::enter(Time now, Time next_timer) {
  std::int64_t predicted_ns = std::numeric_limits<std::int64_t>::max();
  if (const auto typical_us = typical_interval_us()) predicted_ns = *typical_us * us_in_ns;
  // The tick falls on multiples of its period.
  std::int64_t to_tick_ns = tick_ns_ - now / nanoseconds(1) % tick_ns_;
  if (predicted_ns > short_residency_ns) {
    next_timer_ns_ =
        next_timer == Time::never() ? far_ns : std::clamp((next_timer - now) / nanoseconds(1), std::int64_t{0}, far_ns);
    bucket_ = bucket_of(next_timer_ns_);
    const std::int64_t timer_us = (next_timer_ns_ * correction_[bucket_] + unity * us_in_ns / 2) / (unity * us_in_ns);
    predicted_ns = std::min(timer_us * us_in_ns, predicted_ns);
  } else {
    next_timer_ns_ = far_ns;
    to_tick_ns = tick_ns_ / 2;
    bucket_ = bucket_of(far_ns);
  }

  entered_at_ = now;
  entered_ = 0;
  const bool only_first = states_.size() == 1 || latency_limit_ns_ == 0 ||
                          next_timer_ns_ < states_[1].target_residency_ns ||
                          latency_limit_ns_ < states_[1].exit_latency_ns;
  if (only_first) return false;
  predicted_ns = choose(predicted_ns);
  if (entered_ > 0 && predicted_ns >= tick_ns_) return true;
  while (entered_ > 0 && states_[entered_].target_residency_ns > to_tick_ns) --entered_;
  return false;
}

std::int64_t IdleStates::choose(std::int64_t predicted_ns) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const IdleState& state = states_[i];
    if (state.exit_latency_ns > latency_limit_ns_) break;
    if (state.target_residency_ns <= predicted_ns) {
      entered_ = i;
      continue;
    }
    // Halting beats polling where it costs little and no timer is near.
    if (entered_ == 0 && state.target_residency_ns < short_residency_ns &&
        state.target_residency_ns <= next_timer_ns_ && state.exit_latency_ns <= predicted_ns) {
      entered_ = i;
      return state.target_residency_ns;
    }
    // The running tick ends the idle period early enough: stay shallow and look again then.
    return predicted_ns < tick_ns_ ? predicted_ns : states_[entered_].target_residency_ns;
  }
  return predicted_ns;
}

Time IdleStates::leave(Time now, bool by_tick) {
  const IdleState& state = states_[entered_];
  const std::int64_t residency_ns = (now - entered_at_) / nanoseconds(1) + state.exit_latency_ns;
  IdleCounters& counters = counters_[entered_];
  ++counters.usage;
  counters.time += nanoseconds(residency_ns);
  if (residency_ns < state.target_residency_ns) {
    if (entered_ > 0) ++counters.above;
  } else if (entered_ + 1 < states_.size() && residency_ns > state.exit_latency_ns &&
             residency_ns - state.exit_latency_ns >= states_[entered_ + 1].target_residency_ns) {
    ++counters.below;
  }
  learn(residency_ns, by_tick);
  return nanoseconds(state.exit_latency_ns);
}

void IdleStates::learn(std::int64_t residency_ns, bool by_tick) {
  const std::int64_t latency_ns = states_[entered_].exit_latency_ns;
  std::int64_t measured_ns = residency_ns > 2 * latency_ns ? residency_ns - latency_ns : residency_ns / 2;
  // A tick that cut a longer sleep short says nothing about its length.
  if (by_tick && next_timer_ns_ > tick_ns_) measured_ns = 9 * max_interesting_ns / 10;
  measured_ns = std::min(measured_ns, next_timer_ns_);

  std::int64_t& factor = correction_[bucket_];
  factor -= factor / 8;
  factor +=
      next_timer_ns_ > 0 && measured_ns < max_interesting_ns ? resolution * measured_ns / next_timer_ns_ : resolution;
  intervals_us_[next_interval_] = measured_ns / us_in_ns;
  next_interval_ = (next_interval_ + 1) % interval_count;
}

}  // namespace rxpool
