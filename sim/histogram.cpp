#include "sim/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rxpool {

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < bucket_count; ++i) {
    buckets_[i] += other.buckets_[i];
  }
  add(static_cast<Wide>(other.sum_high_) << 64 | other.sum_low_);
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::count() const {
  return std::accumulate(buckets_.begin(), buckets_.end(), std::uint64_t{0});
}

double Histogram::mean() const {
  const std::uint64_t n = count();
  const Wide sum = static_cast<Wide>(sum_high_) << 64 | sum_low_;
  return n == 0 ? 0.0 : static_cast<double>(sum) / static_cast<double>(n);
}

std::uint64_t Histogram::middle_of(std::size_t bucket) {
  if (bucket < linear) {
    return bucket;
  }
  const int shift = static_cast<int>(bucket >> sub_bits) - 1;
  const std::uint64_t low = ((bucket & ((1u << sub_bits) - 1)) + (1u << sub_bits)) << shift;
  return low + (std::uint64_t{1} << shift) / 2;
}

std::int64_t Histogram::quantile(double q) const {
  const std::uint64_t n = count();
  if (n == 0) {
    return 0;
  }
  if (q <= 0.0) {
    return min();
  }
  const double wanted = std::ceil(std::min(q, 1.0) * static_cast<double>(n));
  if (wanted >= static_cast<double>(n)) {
    return max();
  }
  const auto rank = std::max(static_cast<std::uint64_t>(wanted), std::uint64_t{1});
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  while ((seen += buckets_[bucket]) < rank) {
    ++bucket;
  }
  return static_cast<std::int64_t>(std::clamp(middle_of(bucket), min_, max_));
}

}  // namespace rxpool
