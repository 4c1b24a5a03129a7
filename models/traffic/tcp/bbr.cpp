#include "models/traffic/tcp/bbr.hpp"

#include <algorithm>
#include <cmath>

namespace rxpool {
namespace {

constexpr double high_gain = 2.885;       // 2 / ln 2: doubles the rate each round
constexpr double drain_gain = 1 / 2.885;  // and undoes it
constexpr double window_gain_probing = 2;
constexpr double growth_expected = 1.25;  // STARTUP goes on while a round brings a quarter more
constexpr int rounds_to_be_sure = 3;
constexpr double least_window = 4;
constexpr double pacing_margin = 0.99;
constexpr Time min_rtt_window = seconds(10);
constexpr Time probe_rtt_time = milliseconds(200);
constexpr std::uint32_t cycle_random = 7;

}  // namespace

Bbr::Bbr(std::uint32_t initial_window, RandomStream& random)
    : random_(random), initial_window_(initial_window), window_(initial_window) {
  set_gains();
  // Without a sample of the round trip: as if it were a millisecond.
  pacing_pps_ = high_gain * window_ / 1e-3;
}

double Bbr::bandwidth_pps() const {
  double most = 0;
  for (std::size_t i = 0; i < bandwidth_rounds; ++i) {
    if (rate_round_[i] + bandwidth_rounds > round_) most = std::max(most, rates_pps_[i]);
  }
  return most;
}

double Bbr::bdp(double gain) const {
  if (min_rtt_ == Time::never()) return initial_window_;
  return gain * bandwidth_pps() * static_cast<double>(min_rtt_.ps) * 1e-12;
}

/// Room for the bursts of segmentation offload and for delayed acknowledgements on top, rounded up to even.
double Bbr::target(double gain) const {
  const double quantum = std::clamp(pacing_pps_ * 1e-3, 1.0, 44.0);
  const double whole = std::ceil(bdp(gain)) + 3 * std::floor(quantum);
  const double even = 2 * std::ceil(whole / 2);
  return state_ == State::probe_bw && cycle_index_ == 0 ? even + 2 : even;
}

void Bbr::acked(const AckSample& sample) {
  if (min_rtt_ == Time::never() && sample.rtt != Time::never()) {
    pacing_pps_ = high_gain * window_ / (static_cast<double>(sample.rtt.ps) * 1e-12);
  }
  count_round(sample);
  measure(sample);
  if (state_ == State::probe_bw) advance_cycle(sample);
  check_full_pipe(sample);
  check_drained(sample);
  check_min_rtt(sample);
  set_gains();
  set_pacing();
  set_window(sample);
}

void Bbr::count_round(const AckSample& sample) {
  round_start_ = sample.interval.ps > 0 && sample.prior_delivered >= round_ends_;
  if (!round_start_) return;
  round_ends_ = sample.delivered;
  ++round_;
}

void Bbr::measure(const AckSample& sample) {
  if (sample.interval.ps <= 0) return;
  const double pps = static_cast<double>(sample.delivered - sample.prior_delivered) /
                     (static_cast<double>(sample.interval.ps) * 1e-12);
  if (sample.app_limited && pps < bandwidth_pps()) return;
  const std::size_t slot = round_ % bandwidth_rounds;
  if (rate_round_[slot] != round_) rates_pps_[slot] = 0;
  rate_round_[slot] = round_;
  rates_pps_[slot] = std::max(rates_pps_[slot], pps);
}

/// A phase lasts one smallest round trip; the probing one until there is more under way or a loss, the draining one no
/// longer than the queue.
void Bbr::advance_cycle(const AckSample& sample) {
  const bool full_length = sample.now - cycle_began_ > min_rtt_;
  bool next = full_length;
  if (pacing_gain_ > 1) next = full_length && (sample.lost > 0 || sample.in_flight >= bdp(pacing_gain_));
  if (pacing_gain_ < 1) next = full_length || sample.in_flight <= bdp(1);
  if (!next) return;
  cycle_index_ = (cycle_index_ + 1) % cycle_gains.size();
  cycle_began_ = sample.now;
}

void Bbr::start_cycle(Time now) {
  state_ = State::probe_bw;
  // Any phase but the draining one.
  cycle_index_ = (cycle_gains.size() - random_.bounded(cycle_random)) % cycle_gains.size();
  cycle_began_ = now;
}

void Bbr::check_full_pipe(const AckSample& sample) {
  if (full_pipe_ || !round_start_ || sample.app_limited) return;
  const double pps = bandwidth_pps();
  if (pps >= full_bandwidth_pps_ * growth_expected) {
    full_bandwidth_pps_ = pps;
    rounds_without_growth_ = 0;
    return;
  }
  full_pipe_ = ++rounds_without_growth_ >= rounds_to_be_sure;
}

void Bbr::check_drained(const AckSample& sample) {
  if (state_ == State::startup && full_pipe_) state_ = State::drain;
  if (state_ == State::drain && sample.in_flight <= bdp(1)) start_cycle(sample.now);
}

void Bbr::check_min_rtt(const AckSample& sample) {
  const bool expired = sample.now > min_rtt_at_ + min_rtt_window;
  if (sample.rtt != Time::never() && (sample.rtt < min_rtt_ || expired)) {
    min_rtt_ = sample.rtt;
    min_rtt_at_ = sample.now;
  }
  if (expired && state_ != State::probe_rtt) {
    save_window();
    state_ = State::probe_rtt;
    probe_rtt_ends_ = Time::never();
  }
  if (state_ != State::probe_rtt) return;
  if (probe_rtt_ends_ == Time::never()) {
    if (sample.in_flight > least_window) return;
    probe_rtt_ends_ = sample.now + probe_rtt_time;
    probe_rtt_round_done_ = false;
    round_ends_ = sample.delivered;
    return;
  }
  probe_rtt_round_done_ = probe_rtt_round_done_ || round_start_;
  if (probe_rtt_round_done_ && sample.now > probe_rtt_ends_) leave_probe_rtt(sample.now);
}

void Bbr::leave_probe_rtt(Time now) {
  min_rtt_at_ = now;
  window_ = std::max(window_, saved_window_);
  if (full_pipe_) {
    start_cycle(now);
  } else {
    state_ = State::startup;
  }
}

void Bbr::save_window() {
  saved_window_ = conserves_ || state_ == State::probe_rtt ? std::max(saved_window_, window_) : window_;
}

void Bbr::set_gains() {
  switch (state_) {
    case State::startup:
      pacing_gain_ = window_gain_ = high_gain;
      break;
    case State::drain:
      pacing_gain_ = drain_gain;
      window_gain_ = high_gain;
      break;
    case State::probe_bw:
      pacing_gain_ = cycle_gains[cycle_index_];
      window_gain_ = window_gain_probing;
      break;
    case State::probe_rtt:
      pacing_gain_ = window_gain_ = 1;
      break;
  }
}

void Bbr::set_pacing() {
  const double pps = pacing_gain_ * bandwidth_pps() * pacing_margin;
  if (full_pipe_ || pps > pacing_pps_) pacing_pps_ = pps;
}

void Bbr::set_window(const AckSample& sample) {
  if (conserves_ && round_ > conserves_until_round_) conserves_ = false;
  if (restore_) {
    restore_ = false;
    window_ = std::max(window_, saved_window_);
  }
  if (conserves_) {
    window_ = std::max(window_ - sample.lost, static_cast<double>(sample.in_flight + sample.acked));
  } else {
    const double goal = target(window_gain_);
    if (full_pipe_) {
      window_ = std::min(window_ + sample.acked, goal);
    } else if (window_ < goal || sample.delivered < initial_window_) {
      window_ += sample.acked;
    }
  }
  window_ = std::max(window_, least_window);
  if (state_ == State::probe_rtt) window_ = std::min(window_, least_window);
}

void Bbr::congestion(Time, std::uint32_t in_flight) {
  save_window();
  conserves_ = true;
  conserves_until_round_ = round_;
  window_ = std::max<double>(in_flight + 1, least_window);
}

void Bbr::timeout(Time) {
  save_window();
  conserves_ = false;
  full_bandwidth_pps_ = 0;
  round_ends_ = 0;
  window_ = 1;
}

void Bbr::recovered() {
  conserves_ = false;
  restore_ = true;
}

}  // namespace rxpool
