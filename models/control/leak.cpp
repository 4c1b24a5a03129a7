#include "models/control/leak.hpp"

#include <algorithm>

namespace rxpool {

void LeakObserver::observe(Time now, double held) {
  if (!started_) {
    started_ = true;
    first_ = now;
    window_ends_ = now + window_;
  }
  while (now >= window_ends_) close_window();
  lowest_ = std::min(lowest_, held);
  const double t = static_cast<double>((now - first_).ps) * 1e-12;
  count_ += 1;
  sum_t_ += t;
  sum_tt_ += t * t;
  sum_h_ += held;
  sum_th_ += t * held;
}

void LeakObserver::close_window() {
  window_ends_ += window_;
  if (lowest_ == std::numeric_limits<double>::infinity()) return;
  if (windows_ != 0) rises_ += lowest_ > floor_ ? 1 : lowest_ < floor_ ? -1 : 0;
  ++windows_;
  floor_ = lowest_;
  lowest_ = std::numeric_limits<double>::infinity();
}

LeakScores LeakObserver::scores() const {
  LeakScores scores;
  const double spread = count_ * sum_tt_ - sum_t_ * sum_t_;
  if (spread > 0) scores.growth = (count_ * sum_th_ - sum_t_ * sum_h_) / spread;
  scores.floor = floor_;
  if (windows_ > 1) scores.trend = static_cast<double>(rises_) / static_cast<double>(windows_ - 1);
  return scores;
}

}  // namespace rxpool
