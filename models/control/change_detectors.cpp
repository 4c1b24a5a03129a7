// Cusum: what changes is found by its sum, not by its size.
#include <algorithm>
#include <cmath>

#include "models/control/detectors.hpp"

namespace rxpool {

void Cusum::Half::add(double x) {
  n += 1;
  const double before = x - mean;
  mean += before / n;
  m2 += before * (x - mean);
}

void Cusum::start_learning(Time now) {
  learning_ = true;
  since_ = now;
  half_ = {};
  up_ = down_ = 0;
}

void Cusum::learn(Time now, double held) {
  half_[now - since_ >= params_.learn / 2 ? 1 : 0].add(held);
  if (now - since_ < params_.learn || half_[0].n == 0 || half_[1].n == 0) return;
  const double change = half_[1].mean - half_[0].mean;
  const double n = half_[0].n + half_[1].n;
  const double mean = (half_[0].n * half_[0].mean + half_[1].n * half_[1].mean) / n;
  if (std::abs(change) > tolerated(mean)) {
    // Still on its way: no level to learn yet.
    estimate_ = {held, change > 0 ? WorkingSetState::growing : WorkingSetState::shrinking};
    start_learning(now);
    return;
  }
  const double variance = (half_[0].m2 + half_[1].m2) / n + half_[0].n * half_[1].n / (n * n) * change * change;
  mean_ = mean;
  // A spread below the band would call every packet a change.
  spread_ = std::max(std::sqrt(variance), tolerated(mean) / 2);
  learning_ = false;
  estimate_ = {mean, WorkingSetState::steady};
}

void Cusum::observe(const PoolSample& sample) {
  const auto held = static_cast<double>(sample.held);
  if (!started_) {
    started_ = true;
    start_learning(sample.now);
  }
  if (learning_) {
    learn(sample.now, held);
    return;
  }
  const double deviation = (held - mean_) / spread_;
  up_ = std::max(0.0, up_ + deviation - params_.drift);
  down_ = std::max(0.0, down_ - deviation - params_.drift);
  if (up_ <= params_.threshold && down_ <= params_.threshold) return;
  estimate_ = {held, up_ > params_.threshold ? WorkingSetState::growing : WorkingSetState::shrinking};
  start_learning(sample.now);
}

}  // namespace rxpool
