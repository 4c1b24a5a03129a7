#pragma once
// Log-linear histogram of non-negative 64-bit values (picoseconds, pages, bytes): 64 equal buckets per power of two, so
// a quantile is within 1/128 < 1 % of the truth over the whole range of Time, and exact below 128. Fixed memory (29
// KiB), no allocation, mergeable: merging replications gives exactly the histogram of all their values, in any order.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "sim/time.hpp"

namespace rxpool {

class Histogram {
 public:
  /// Negative values count as 0.
  void record(std::int64_t value, std::uint64_t count = 1) {
    const std::uint64_t v = value < 0 ? 0 : static_cast<std::uint64_t>(value);
    buckets_[bucket_of(v)] += count;
    add(static_cast<Wide>(v) * count);
    // Branches that are hardly ever taken are cheaper than stores that always happen.
    if (v < min_) [[unlikely]] {
      min_ = v;
    }
    if (v > max_) [[unlikely]] {
      max_ = v;
    }
  }
  void record(Time value, std::uint64_t count = 1) { record(value.ps, count); }

  /// record() of each value in turn, none of them negative. Values that are near one another, as those of a run are,
  /// fall into buckets of one width.
  void record_all(std::span<const std::int64_t> values) {
    Wide sum = 0;
    std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t most = 0;
    for (const std::int64_t value : values) {
      const auto v = static_cast<std::uint64_t>(value);
      sum += v;
      least = v < least ? v : least;
      most = v > most ? v : most;
    }
    add(sum);
    min_ = least < min_ ? least : min_;
    max_ = most > max_ ? most : max_;
    const int shift = shift_of(most);
    if (shift_of(least) == shift) {
      std::uint64_t* const buckets = &buckets_[static_cast<std::size_t>(shift) << sub_bits];
      for (const std::int64_t value : values) ++buckets[static_cast<std::uint64_t>(value) >> shift];
    } else {
      for (const std::int64_t value : values) ++buckets_[bucket_of(static_cast<std::uint64_t>(value))];
    }
  }

  void merge(const Histogram& other);
  void clear() { *this = Histogram{}; }

  std::uint64_t count() const;
  /// Mean of the values themselves, not of their buckets; 0 when empty, like every value below.
  double mean() const;
  std::int64_t min() const { return min_ > max_ ? 0 : static_cast<std::int64_t>(min_); }
  std::int64_t max() const { return static_cast<std::int64_t>(max_); }
  /// Smallest value that at least the fraction q (0 … 1) of all values do not exceed, within 1/128; exact at both ends.
  std::int64_t quantile(double q) const;

  bool operator==(const Histogram&) const = default;

 private:
  __extension__ using Wide = unsigned __int128;  ///< 2^63 values of 2^63

  static constexpr int sub_bits = 6;                       ///< log2 of the buckets per power of two
  static constexpr std::uint64_t linear = 2u << sub_bits;  ///< below this every value has its own bucket
  static constexpr std::size_t bucket_count = (63 - sub_bits + 1) << sub_bits;

  /// log2 of the width of the value's bucket.
  static int shift_of(std::uint64_t v) { return static_cast<int>(std::bit_width(v | (linear - 1))) - (sub_bits + 1); }
  /// Values of equal exponent and equal 6 following bits share a bucket.
  static std::size_t bucket_of(std::uint64_t v) {
    const int shift = shift_of(v);
    return (static_cast<std::size_t>(shift) << sub_bits) + static_cast<std::size_t>(v >> shift);
  }
  /// Adds to the sum, 128 bits in two words; the upper one hardly ever changes.
  void add(Wide value) {
    const auto low = static_cast<std::uint64_t>(value);
    sum_low_ += low;
    if (sum_low_ < low || (value >> 64) != 0) [[unlikely]] {
      sum_high_ += static_cast<std::uint64_t>(value >> 64) + (sum_low_ < low ? 1 : 0);
    }
  }
  static std::uint64_t middle_of(std::size_t bucket);

  std::array<std::uint64_t, bucket_count> buckets_{};
  std::uint64_t sum_low_ = 0;
  std::uint64_t sum_high_ = 0;
  std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ = 0;
};

}  // namespace rxpool
