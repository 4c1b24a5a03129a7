#include "sim/distribution.hpp"

#include <cmath>

#include "sim/error.hpp"
#include "sim/math.hpp"

namespace rxpool {

ParetoTime::ParetoTime(Time mean, double shape)
    : minimum_ps_(static_cast<double>(mean.ps) * (shape - 1.0) / shape), inverse_shape_(1.0 / shape) {
  ensure(shape > 1.0, "the mean of a Pareto distribution needs a shape above 1");
}

Time ParetoTime::operator()(RandomStream& random) const {
  // u^(-1/shape) with u uniform is exp of an exponential over the shape.
  return to_time(minimum_ps_ * math::exp(random.next_exponential() * inverse_shape_));
}

AliasTable::AliasTable(std::span<const double> weights) : cells_(weights.size()) {
  double sum = 0;
  for (const double weight : weights) {
    ensure(weight >= 0.0 && weight < 1e300, "a weight is not a non-negative number");
    sum += weight;
  }
  ensure(sum > 0.0 && weights.size() < 0xffffffff, "the weights are all zero, or too many");
  std::vector<double> scaled(weights.size());
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  for (std::uint32_t i = 0; i < weights.size(); ++i) {
    scaled[i] = weights[i] / sum * static_cast<double>(weights.size());
    cells_[i].alias = i;
    (scaled[i] < 1.0 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    const std::uint32_t low = small.back();
    const std::uint32_t high = large.back();
    small.pop_back();
    cells_[low] = {static_cast<std::uint32_t>(scaled[low] * 0x1p32), high};
    scaled[high] -= 1.0 - scaled[low];
    if (scaled[high] < 1.0) {
      large.pop_back();
      small.push_back(high);
    }
  }
  // What is left has weight 1 up to rounding and keeps its own index, except that a weight of zero never comes up.
  std::uint32_t heaviest = 0;
  for (std::uint32_t i = 0; i < weights.size(); ++i) {
    heaviest = weights[i] > weights[heaviest] ? i : heaviest;
  }
  for (const std::uint32_t i : small) {
    if (weights[i] == 0.0) {
      cells_[i] = {0, heaviest};
    }
  }
}

}  // namespace rxpool
