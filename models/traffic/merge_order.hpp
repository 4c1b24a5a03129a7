#pragma once
// Merges the frames of several sources: sorted runs of packed keys, two by two, without a branch that depends on the
// data (which of two Poisson sources comes first is a coin toss, and a mispredicted branch costs more than a merge
// step).

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/time.hpp"

namespace rxpool {

/// (time since some origin, lane) as one number that sorts by time, then lane; above 0 and below 2^64 - 1.
class MergeKey {
 public:
  static constexpr std::uint32_t lane_bits = 16;
  /// Times further from the origin do not fit: 2^46 ps = 70 s.
  static constexpr Time longest() { return Time{std::int64_t{1} << 46}; }
  static constexpr std::uint64_t make(Time since_origin, std::uint32_t lane) {
    return static_cast<std::uint64_t>(since_origin.ps) << lane_bits | lane;
  }
  static constexpr std::uint32_t lane(std::uint64_t key) { return key & ((1u << lane_bits) - 1); }
};

class MergeOrder {
 public:
  /// At most `runs` runs of at most `length` keys each; all memory is taken here.
  MergeOrder(std::size_t runs, std::size_t length);

  void begin();
  /// Room for one run; then run_ends() says how many keys of it were filled.
  std::uint64_t* run() { return position_; }
  void run_ends(std::size_t keys);
  /// All keys of all runs in ascending order, valid until the next begin().
  std::span<const std::uint64_t> merge();

 private:
  struct Run {
    std::uint64_t* first;
    std::size_t length;
  };
  static void merge_two(Run a, Run b, std::uint64_t* out);

  std::vector<std::uint64_t> buffers_[2];
  std::vector<Run> runs_;
  std::uint64_t* position_ = nullptr;
};

}  // namespace rxpool
