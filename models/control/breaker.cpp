#include "models/control/breaker.hpp"

#include <algorithm>
#include <cmath>

#include "models/control/in_ms.hpp"

namespace rxpool {
namespace {

double seconds_of(Time t) {
  return static_cast<double>(t.ps) * 1e-12;
}

constexpr std::uint32_t longest_open_factor = 16;

}  // namespace

std::string_view breaker_state_name(BreakerState state) {
  constexpr std::string_view names[] = {"closed", "holding", "open", "half_open", "hard"};
  return names[static_cast<std::size_t>(state)];
}

double CircuitBreaker::limit_of(const BreakerSample& sample) const {
  switch (params_.threshold) {
    case BreakerThreshold::none:
      break;
    case BreakerThreshold::pages:
      return params_.pages;
    case BreakerThreshold::working_set:
      return params_.factor * std::max(sample.working_set, sample.ring);
    case BreakerThreshold::zone_share:
      return params_.share * sample.zone_pages;
    case BreakerThreshold::time_to_oom:
      return limit_by_forecast(sample, params_.horizon);
    case BreakerThreshold::share_or_oom:
      // Where less than the share is free, only the growth can tell in time; what outlasts the hold needs no forecast.
      return std::min(params_.share * sample.zone_pages, limit_by_forecast(sample, params_.hold));
  }
  return HUGE_VAL;
}

double CircuitBreaker::limit_by_forecast(const BreakerSample& sample, Time horizon) const {
  const double room = std::max(0.0, sample.free_pages - sample.low);
  const bool dry = held_slope_ > 0 && held_slope_ * seconds_of(horizon) >= room;
  return dry ? sample.held : sample.held + room;
}

void CircuitBreaker::update_slopes(const BreakerSample& sample) {
  if (!started_) {
    started_ = true;
    last_ = since_ = sample.now;
    held_ = sample.held;
    free_ = sample.free_pages;
    return;
  }
  const Time step = sample.now - last_;
  if (step.ps <= 0) return;
  const double weight = static_cast<double>(step.ps) / static_cast<double>((params_.forecast + step).ps);
  held_slope_ += weight * ((sample.held - held_) / seconds_of(step) - held_slope_);
  free_slope_ += weight * ((sample.free_pages - free_) / seconds_of(step) - free_slope_);
  free_fall_ = free_ - sample.free_pages;
  step_ = step;
  last_ = sample.now;
  held_ = sample.held;
  free_ = sample.free_pages;
}

/// At its mean slope, or at the one of the last step: a flood that has just begun has moved the mean little.
bool CircuitBreaker::low_before_next_look(const BreakerSample& sample) const {
  const double fall = std::max({0.0, free_fall_, -free_slope_ * seconds_of(step_)});
  return sample.free_pages - fall <= sample.low;
}

bool CircuitBreaker::low_within_reaction(const BreakerSample& sample) const {
  return sample.free_pages + free_slope_ * seconds_of(params_.reaction) <= sample.low;
}

void CircuitBreaker::enter(BreakerState state, Time now) {
  state_ = state;
  since_ = now;
}

void CircuitBreaker::trip(Time now, bool early) {
  ++stats_.trips;
  if (early) ++stats_.early_trips;
  if (stats_.first_trip == Time::never()) stats_.first_trip = now;
  trip_limit_ = limit_;
  open_factor_ = 1;
  enter(BreakerState::open, now);
}

void CircuitBreaker::observe(const BreakerSample& sample) {
  if (params_.threshold == BreakerThreshold::none) return;
  update_slopes(sample);
  limit_ = limit_of(sample);
  const Time now = sample.now;
  const bool over = sample.held >= limit_ && sample.held > 0;
  if (over && stats_.first_over == Time::never()) stats_.first_over = now;

  if (state_ != BreakerState::hard && low_before_next_look(sample)) {
    ++stats_.hard;
    if (state_ == BreakerState::closed || state_ == BreakerState::holding) trip_limit_ = limit_;
    enter(BreakerState::hard, now);
    return;
  }
  switch (state_) {
    case BreakerState::closed:
      if (!over) return;
      enter(BreakerState::holding, now);
      [[fallthrough]];
    case BreakerState::holding:
      if (!over) {
        enter(BreakerState::closed, now);
      } else if (now - since_ >= params_.hold) {
        trip(now, false);
      } else if (low_within_reaction(sample)) {
        trip(now, true);
      }
      return;
    case BreakerState::open:
      if (now - since_ >= params_.open * open_factor_ && sample.held < params_.close_share * trip_limit_) {
        enter(BreakerState::half_open, now);
      }
      return;
    case BreakerState::half_open:
      if (sample.held >= trip_limit_ || low_within_reaction(sample)) {
        ++stats_.failed_probes;
        open_factor_ = std::min(2 * open_factor_, longest_open_factor);
        enter(BreakerState::open, now);
      } else if (now - since_ >= params_.probe) {
        if (stats_.first_close == Time::never()) stats_.first_close = now;
        enter(BreakerState::closed, now);
      }
      return;
    case BreakerState::hard:
      // kswapd works up to the high watermark: only then there is room again.
      if (sample.free_pages > sample.high) enter(BreakerState::open, now);
      return;
  }
}

std::vector<std::string> breaker_warnings(const BreakerParams& params, const BreakerScale& scale,
                                          const std::string& where) {
  std::vector<std::string> warnings;
  if (params.threshold == BreakerThreshold::none) return warnings;
  if (params.hold < params.reference_rtt) {
    warnings.push_back(where + ".hold_ms: " + in_ms(params.hold) + " is below one reference round trip, " +
                       in_ms(params.reference_rtt) +
                       ": the breaker trips before congestion-controlled senders could react");
  }
  const auto below_ring = [&](const std::string& key, double pages) {
    if (pages >= scale.ring) return;
    warnings.push_back(where + key + std::to_string(static_cast<long>(pages)) + " is below the pages of one ring, " +
                       std::to_string(static_cast<long>(scale.ring)) +
                       ": one ring handed to the stack at once is over it");
  };
  if (params.threshold == BreakerThreshold::pages) below_ring(".pages: ", params.pages);
  if (params.threshold == BreakerThreshold::zone_share || params.threshold == BreakerThreshold::share_or_oom) {
    below_ring(".share: of the zone, ", params.share * scale.zone_pages);
  }
  if (params.threshold == BreakerThreshold::working_set && params.factor <= 1) {
    warnings.push_back(where + ".factor: at or below 1 the working set itself is over the threshold");
  }
  return warnings;
}

}  // namespace rxpool
