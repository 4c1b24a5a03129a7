#pragma once
// The distributions that the models draw from, written out over RandomStream and sim/math so that a draw has the same
// bits everywhere: durations in whole picoseconds (rounded to nearest, cut at time_limit()) and indices with given
// weights.

#include <cstdint>
#include <span>
#include <vector>

#include "sim/random.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// Nearest whole picosecond of a non-negative number of picoseconds; time_limit() beyond it.
inline Time to_time(double ps) {
  return ps < static_cast<double>(time_limit().ps) ? Time{static_cast<std::int64_t>(ps + 0.5)} : time_limit();
}

/// Exponential durations.
class ExponentialTime {
 public:
  explicit ExponentialTime(Time mean) : mean_ps_(static_cast<double>(mean.ps)) {}
  Time operator()(RandomStream& random) const { return to_time(mean_ps_ * random.next_exponential()); }

 private:
  double mean_ps_;
};

/// Pareto durations with the given mean; P(X > x) = (minimum / x)^shape from the minimum on. Shape above 1.
class ParetoTime {
 public:
  ParetoTime(Time mean, double shape);
  Time operator()(RandomStream& random) const;
  double minimum_ps() const { return minimum_ps_; }

 private:
  double minimum_ps_;
  double inverse_shape_;
};

/// Index i with probability weight[i] / sum, in constant time (Walker's alias method in Vose's form). Probabilities are
/// kept to 2^-32; two words per draw.
class AliasTable {
 public:
  /// Non-negative weights, not all zero, fewer than 2^32 of them; BugError otherwise.
  explicit AliasTable(std::span<const double> weights);

  std::uint32_t operator()(RandomStream& random) const {
    const std::uint32_t cell = random.bounded(static_cast<std::uint32_t>(cells_.size()));
    const Cell& c = cells_[cell];
    return random.next_u32() < c.threshold ? cell : c.alias;
  }
  std::size_t size() const { return cells_.size(); }

 private:
  struct Cell {
    std::uint32_t threshold = 0xffffffff;  ///< keep the cell's own index below it
    std::uint32_t alias = 0;
  };
  std::vector<Cell> cells_;
};

}  // namespace rxpool
