#include "models/traffic/arrivals.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "sim/block_kernels.hpp"
#include "sim/distribution.hpp"

namespace rxpool {

namespace {

__extension__ using Wide = unsigned __int128;

/// Mean gaps outside are left to step(); 23 of the longest, which is 90 s, are below 2^51 ps.
constexpr double shortest_gap_ps = 1e-3;
constexpr double longest_gap_ps = 9e13;

Time time_of_us(double us) {
  return to_time(us * 1e6);
}

/// Whole picoseconds, rounded to nearest, of each multiple of the mean gap; below 2^51. What a conversion instruction
/// does for one number, additions of 2^52 do for many side by side.
RXPOOL_BLOCK_KERNEL
void whole_gaps(const double* multiples, double gap_ps, std::int64_t* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const double raised = multiples[i] * gap_ps + 0.5;
    const double nearest = (raised + 0x1p52) - 0x1p52;
    const std::int64_t whole = std::bit_cast<std::int64_t>(nearest + 0x1p52) & ((std::int64_t{1} << 52) - 1);
    // Doubles above zero are ordered as their bits are.
    out[i] = whole - (std::bit_cast<std::int64_t>(nearest) > std::bit_cast<std::int64_t>(raised) ? 1 : 0);
  }
}

}  // namespace

Arrivals::Arrivals(const ArrivalParams& params, RateClock clock, std::uint64_t seed, std::uint32_t replication,
                   std::string_view name)
    : kind_(params.kind),
      periods_(params.kind == ArrivalKind::mmpp ? PeriodKind::exponential : params.periods),
      pareto_shape_(params.pareto_shape),
      clock_(std::move(clock)),
      burst_senders_(params.incast_senders),
      burst_frames_(params.incast_frames),
      jitter_ps_(params.incast_jitter_us * 1e6),
      gaps_(seed, replication, std::string(name) + "/gaps"),
      period_random_(seed, replication, std::string(name) + "/periods"),
      jitter_(seed, replication, std::string(name) + "/jitter") {
  switch (kind_) {
    case ArrivalKind::constant:
    case ArrivalKind::poisson:
      rates_pps_ = {params.rate_pps};
      break;
    case ArrivalKind::incast:
      rates_pps_ = {params.rate_pps / (static_cast<double>(burst_senders_) * static_cast<double>(burst_frames_))};
      burst_.resize(jitter_ps_ > 0 ? burst_senders_ : 0);
      break;
    case ArrivalKind::mmpp:
      for (const MmppState& s : params.states) {
        rates_pps_.push_back(s.rate_pps);
        period_means_.push_back(time_of_us(s.mean_us));
      }
      break;
    case ArrivalKind::on_off: {
      const double cycle_us = params.on_mean_us + params.off_mean_us;
      rates_pps_ = {params.rate_pps * cycle_us / params.on_mean_us, 0.0};
      period_means_ = {time_of_us(params.on_mean_us), time_of_us(params.off_mean_us)};
      state_.phase = period_random_.next_unit() * cycle_us < params.on_mean_us ? 0 : 1;
      break;
    }
  }
  if (!period_means_.empty()) {
    state_.phase_end = draw_period();
  }
  set_window();
}

std::size_t Arrivals::fill(std::span<Time> out, std::span<std::uint32_t> senders) {
  return kind_ == ArrivalKind::incast ? fill_bursts(out, senders) : fill_times(out);
}

std::size_t Arrivals::fill_times(std::span<Time> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    if (window_) {
      filled += random_gaps() ? run_random(out.subspan(filled)) : run_equal(out.subspan(filled));
      if (filled == out.size()) {
        break;
      }
    }
    if (!step()) {
      break;
    }
    out[filled++] = state_.t;
  }
  return filled;
}

std::size_t Arrivals::run_random(std::span<Time> out) {
  std::size_t filled = 0;
  std::int64_t t = state_.t.ps;
  while (filled < out.size()) {
    if (next_exponential_ == block) {
      load_exponentials(exponentials_base_ + block);
    }
    const std::size_t count = std::min(out.size() - filled, block - next_exponential_);
    std::array<std::int64_t, block> gaps_ps;
    whole_gaps(&exponentials_[next_exponential_], gap_ps_, gaps_ps.data(), count);
    const std::span<Time> times = out.subspan(filled, count);
    std::int64_t next = t;
    for (std::size_t i = 0; i < count; ++i) {
      next += gaps_ps[i];
      times[i].ps = next;
    }
    std::size_t taken = count;
    if (next >= window_end_.ps) {
      taken = static_cast<std::size_t>(std::lower_bound(times.begin(), times.end(), window_end_) - times.begin());
    }
    t = taken == 0 ? t : times[taken - 1].ps;
    filled += taken;
    next_exponential_ += taken;
    if (taken < count) {
      break;
    }
  }
  state_.t = Time{t};
  return filled;
}

std::size_t Arrivals::run_equal(std::span<Time> out) {
  std::size_t filled = 0;
  if (!state_.begun) {
    return filled;
  }
  for (; filled < out.size(); ++filled) {
    const std::uint64_t fraction = state_.fraction + gap_fraction_;
    const Time next = state_.t + Time{gap_whole_ps_ + (fraction < gap_fraction_ ? 1 : 0)};
    if (next >= window_end_) {
      break;
    }
    state_.t = next;
    state_.fraction = fraction;
    out[filled] = next;
  }
  return filled;
}

/// One arrival, over any number of pieces and phases. False, with nothing changed, if there is none.
bool Arrivals::step() {
  const State before = save();
  double demand = random_gaps() ? take_exponential() : state_.begun ? 1.0 : 0.0;
  Time t = state_.t;
  std::size_t index = clock_.piece_at(t);
  for (;;) {
    while (t >= state_.phase_end) {
      state_.phase = (state_.phase + 1) % static_cast<std::uint32_t>(period_means_.size());
      state_.phase_end = state_.phase_end + draw_period();
    }
    if (clock_.ends_at(index) || t >= time_limit()) {
      restore(before);
      return false;
    }
    const RateClock::Piece& piece = clock_.piece(index);
    if (piece.factor == 0.0 && piece.slope == 0.0) {
      if (state_.phase_end != Time::never()) {
        state_.phase_end += piece.end - t;
      }
      t = piece.end;
    } else if (clock_.advance(index, t, demand, rates_pps_[state_.phase] * 1e-12, state_.phase_end)) {
      break;
    }
    if (t == piece.end && t != Time::never()) {
      ++index;
    }
  }
  state_.t = t;
  state_.fraction = 0;
  state_.begun = true;
  set_window();
  return true;
}

std::size_t Arrivals::fill_bursts(std::span<Time> out, std::span<std::uint32_t> senders) {
  const std::uint32_t burst = burst_senders_ * burst_frames_;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (state_.frame == 0) {
      Time epoch;
      if (fill_times({&epoch, 1}) == 0) {
        return i;
      }
      state_.jitter_draws = jitter_.position();
      draw_burst();
    }
    if (burst_.empty()) {
      senders[i] = state_.frame % burst_senders_;
      state_.last = std::max(state_.last, state_.t);
    } else {
      const auto& [offset, sender] = burst_[state_.frame / burst_frames_];
      senders[i] = sender;
      state_.last = std::max(state_.last, state_.t + offset);
    }
    out[i] = state_.last;
    state_.frame = state_.frame + 1 == burst ? 0 : state_.frame + 1;
  }
  return out.size();
}

void Arrivals::draw_burst() {
  for (std::uint32_t sender = 0; sender < burst_.size(); ++sender) {
    burst_[sender] = {to_time(jitter_.next_unit() * jitter_ps_), sender};
  }
  std::sort(burst_.begin(), burst_.end());
}

Arrivals::State Arrivals::save() const {
  State state = state_;
  state.draws = exponentials_base_ + next_exponential_;
  state.period_draws = period_random_.position();
  if (state.frame == 0) {
    state.jitter_draws = jitter_.position();
  }
  return state;
}

void Arrivals::restore(const State& state) {
  state_ = state;
  load_exponentials(state.draws);
  period_random_.seek(state.period_draws);
  jitter_.seek(state.jitter_draws);
  if (state.frame != 0) {
    draw_burst();
  }
  set_window();
}

void Arrivals::set_factor(Time at, double factor) {
  clock_.set_factor(at, factor);
  set_window();
}

void Arrivals::set_window() {
  const RateClock::Piece& piece = clock_.piece(clock_.piece_at(state_.t));
  const double rate_pps = rates_pps_[state_.phase] * piece.factor;
  gap_ps_ = 1e12 / rate_pps;
  window_ = piece.slope == 0.0 && gap_ps_ > shortest_gap_ps && gap_ps_ < longest_gap_ps;
  window_end_ = std::min({piece.end, state_.phase_end, time_limit()});
  if (window_ && !random_gaps()) {
    // 10^12 / rate with 64 bits behind the point: rate = mantissa 2^exponent exactly.
    int exponent = 0;
    const auto mantissa = static_cast<std::uint64_t>(std::frexp(rate_pps, &exponent) * 0x1p53);
    const Wide numerator = Wide{1'000'000'000'000} << (53 - exponent);
    gap_whole_ps_ = static_cast<std::int64_t>(numerator / mantissa);
    // Rounded up, so that three thirds make a whole picosecond.
    gap_fraction_ = static_cast<std::uint64_t>(((numerator % mantissa << 64) + mantissa - 1) / mantissa);
  }
}

Time Arrivals::draw_period() {
  const Time mean = period_means_[state_.phase];
  const Time period = periods_ == PeriodKind::exponential ? ExponentialTime(mean)(period_random_)
                                                          : ParetoTime(mean, pareto_shape_)(period_random_);
  return std::max(period, Time{1});
}

double Arrivals::take_exponential() {
  if (next_exponential_ == block) {
    load_exponentials(exponentials_base_ + block);
  }
  return exponentials_[next_exponential_++];
}

void Arrivals::load_exponentials(std::uint64_t draws) {
  // Exponential number n is word n of the stream; block number 0 is never used, so that "all taken" needs no case.
  const std::uint64_t base = draws - draws % block;
  if (gaps_.position() != base) {
    gaps_.seek(base);
  }
  gaps_.fill_exponential(exponentials_);
  exponentials_base_ = base;
  next_exponential_ = draws % block;
}

}  // namespace rxpool
