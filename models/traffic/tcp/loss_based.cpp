#include "models/traffic/tcp/loss_based.hpp"

#include <algorithm>

#include "sim/math.hpp"

namespace rxpool {
namespace {

double in_seconds(Time span) {
  return static_cast<double>(span.ps) * 1e-12;
}

}  // namespace

// ---- Reno.

double Reno::leave_slow_start(double acked) {
  if (!slow_start()) return acked;
  const double grown = std::min(window_ + acked, threshold_);
  const double left = acked - (grown - window_);
  window_ = grown;
  return left;
}

void Reno::acked(const AckSample& sample) {
  if (sample.in_recovery || !sample.window_limited) return;
  const double left = leave_slow_start(sample.acked);
  window_ += left / window_;
}

void Reno::reduce(double factor) {
  threshold_ = std::max(window_ * factor, least);
  window_ = threshold_;
}

void Reno::congestion(Time, std::uint32_t) {
  reduce(0.5);
}

void Reno::timeout(Time) {
  threshold_ = std::max(window_ * 0.5, least);
  window_ = 1;
}

// ---- CUBIC.

void Cubic::begin_epoch(Time now) {
  epoch_ = now;
  k_s_ = largest_ > window_ ? math::pow((largest_ - window_) / c, 1.0 / 3) : 0;
  largest_ = std::max(largest_, window_);
  reno_window_ = window_;
}

void Cubic::acked(const AckSample& sample) {
  if (sample.in_recovery || !sample.window_limited) return;
  const double left = leave_slow_start(sample.acked);
  if (left == 0) return;
  if (epoch_ == Time::never()) begin_epoch(sample.now);
  const double rtt_s = sample.min_rtt == Time::never() ? 0 : in_seconds(sample.min_rtt);
  const double since = in_seconds(sample.now - epoch_) + rtt_s - k_s_;
  // RFC 9438, 4.2: at most half as much again within one round trip.
  const double target = std::clamp(c * since * since * since + largest_, window_, 1.5 * window_);
  window_ += left * (target - window_) / window_;
  // 4.3: the window Reno would have with the same beta; above the old maximum it grows as Reno does.
  constexpr double alpha = 3 * (1 - beta) / (1 + beta);
  reno_window_ += (reno_window_ < largest_ ? alpha : 1) * left / window_;
  window_ = std::max(window_, reno_window_);
}

void Cubic::remember_largest() {
  // 4.7, fast convergence: a flow that did not regain its maximum gives room to others.
  largest_ = window_ < largest_ ? window_ * (1 + beta) / 2 : window_;
  epoch_ = Time::never();
}

void Cubic::congestion(Time, std::uint32_t) {
  remember_largest();
  reduce(beta);
}

void Cubic::timeout(Time) {
  remember_largest();
  threshold_ = std::max(window_ * beta, least);
  window_ = 1;
}

// ---- DCTCP.

void Dctcp::acked(const AckSample& sample) {
  acked_ += sample.acked;
  if (sample.ece) marked_ += sample.acked;
  if (sample.una >= window_ends_) {
    const double share = acked_ == 0 ? 0 : static_cast<double>(marked_) / static_cast<double>(acked_);
    alpha_ += gain * (share - alpha_);
    acked_ = marked_ = 0;
    window_ends_ = sample.next;
  }
  // What was sent before the last reduction says nothing of it (the CWR state), and the window does not grow meanwhile.
  if (sample.una <= reduced_until_) return;
  if (sample.ece) {
    reduced_until_ = sample.next;
    reduce(1 - alpha_ / 2);
    return;
  }
  Reno::acked(sample);
}

}  // namespace rxpool
