#pragma once
// A level that changes in time: its present value, extremes, and the integral that gives the time-weighted mean. The
// integral is exact (128 bits of level x picoseconds).

#include <algorithm>
#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

class Gauge {
 public:
  void set(Time now, std::int64_t level) {
    advance(now);
    level_ = level;
    max_ = std::max(max_, level);
    min_ = std::min(min_, level);
  }
  void add(Time now, std::int64_t delta) { set(now, level_ + delta); }

  std::int64_t level() const { return level_; }
  std::int64_t max() const { return max_; }
  std::int64_t min() const { return min_; }

  /// Mean over [cut, now]; the level itself when no time has passed.
  double mean(Time now) const {
    const std::int64_t span = (now - since_).ps;
    if (span <= 0) return static_cast<double>(level_);
    return static_cast<double>(integral_ + Wide{level_} * (now - last_).ps) / static_cast<double>(span);
  }
  /// Level-seconds over [cut, now], e.g. page-seconds.
  double level_seconds(Time now) const {
    return static_cast<double>(integral_ + Wide{level_} * (now - last_).ps) * 1e-12;
  }

  /// End of warm-up: the level stays, everything accumulated starts anew.
  void cut(Time now) {
    since_ = last_ = now;
    integral_ = 0;
    max_ = min_ = level_;
  }

 private:
  __extension__ using Wide = __int128;
  void advance(Time now) {
    if (now > last_) {
      integral_ += Wide{level_} * (now - last_).ps;
      last_ = now;
    }
  }

  std::int64_t level_ = 0;
  std::int64_t max_ = 0;
  std::int64_t min_ = 0;
  Time since_{0};
  Time last_{0};
  Wide integral_ = 0;
};

}  // namespace rxpool
