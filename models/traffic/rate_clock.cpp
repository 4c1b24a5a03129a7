#include "models/traffic/rate_clock.hpp"

#include <algorithm>
#include <cmath>

#include "sim/distribution.hpp"

namespace rxpool {

Time time_of_ms(double ms) {
  return ms >= static_cast<double>(time_limit().ps) / 1e9 ? Time::never() : to_time(ms * 1e9);
}

RateClock::RateClock(Time start, Time stop, std::span<const RatePoint> schedule) : factors_{{Time{0}, 1.0}} {
  // The schedule's own pieces; before its first point the factor is 1.
  std::vector<Piece> whole;
  if (schedule.empty() || schedule.front().at_ms > 0) {
    whole.push_back({Time{0}, Time::never(), 1.0, 0.0});
  }
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    const Time begin = time_of_ms(schedule[i].at_ms);
    if (!whole.empty()) {
      whole.back().end = begin;
    }
    Piece piece{begin, Time::never(), schedule[i].factor, 0.0};
    if (schedule[i].ramp && i + 1 < schedule.size()) {
      const Time end = time_of_ms(schedule[i + 1].at_ms);
      piece.slope = (schedule[i + 1].factor - piece.factor) / static_cast<double>((end - begin).ps);
    }
    whole.push_back(piece);
  }
  // Cut to start … stop.
  if (start > Time{0}) {
    schedule_.push_back({Time{0}, start, 0.0, 0.0});
  }
  for (Piece piece : whole) {
    const Time begin = std::max(piece.begin, start);
    const Time end = std::min(piece.end, stop);
    if (begin < end) {
      piece.factor += piece.slope * static_cast<double>((begin - piece.begin).ps);
      schedule_.push_back({begin, end, piece.factor, piece.slope});
    }
  }
  if (schedule_.back().end != Time::never()) {
    schedule_.push_back({schedule_.back().end, Time::never(), 0.0, 0.0});
  }
  build();
}

void RateClock::set_factor(Time at, double factor) {
  const auto next =
      std::lower_bound(factors_.begin(), factors_.end(), at, [](const Factor& f, Time t) { return f.at < t; });
  if (next != factors_.end() && next->at == at) {
    next->value = factor;
  } else {
    factors_.insert(next, {at, factor});
  }
  build();
}

void RateClock::build() {
  pieces_.clear();
  for (const Piece& piece : schedule_) {
    for (std::size_t i = 0; i < factors_.size(); ++i) {
      const Time factor_end = i + 1 < factors_.size() ? factors_[i + 1].at : Time::never();
      const Time begin = std::max(piece.begin, factors_[i].at);
      const Time end = std::min(piece.end, factor_end);
      if (begin < end) {
        const double at_begin = piece.factor + piece.slope * static_cast<double>((begin - piece.begin).ps);
        pieces_.push_back({begin, end, at_begin * factors_[i].value, piece.slope * factors_[i].value});
      }
    }
  }
}

std::size_t RateClock::piece_at(Time t) const {
  const auto next = std::upper_bound(pieces_.begin(), pieces_.end(), t,
                                     [](Time value, const Piece& piece) { return value < piece.begin; });
  return static_cast<std::size_t>(next - pieces_.begin()) - 1;
}

bool RateClock::advance(std::size_t index, Time& t, double& demand, double rate_per_ps, Time limit) const {
  const Piece& p = pieces_[index];
  const Time end = std::min(p.end, limit);
  const double left_ps = static_cast<double>((end - t).ps);
  const double factor = p.factor + p.slope * static_cast<double>((t - p.begin).ps);
  const double rate = std::max(factor * rate_per_ps, 0.0);
  const double growth = p.slope * rate_per_ps;
  const double supply = growth == 0.0 ? rate * left_ps : (rate + 0.5 * growth * left_ps) * left_ps;
  if (demand < supply) {
    // rate x + growth x^2 / 2 = demand, in the form that does not cancel.
    const double root = growth == 0.0 ? rate : std::sqrt(std::max(rate * rate + 2.0 * growth * demand, 0.0));
    const double wait_ps = demand > 0.0 ? 2.0 * demand / (rate + root) : 0.0;
    const Time arrival = wait_ps < left_ps ? t + Time{static_cast<std::int64_t>(wait_ps + 0.5)} : end;
    if (arrival < end) {
      t = arrival;
      demand = 0.0;
      return true;
    }
  }
  demand = std::max(demand - supply, 0.0);
  t = end;
  return false;
}

}  // namespace rxpool
