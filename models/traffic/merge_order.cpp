#include "models/traffic/merge_order.hpp"

#include <algorithm>
#include <limits>

namespace rxpool {

namespace {

// Guards on both sides of a run let the merge read one key too far.
constexpr std::uint64_t below_all = 0;
constexpr std::uint64_t above_all = std::numeric_limits<std::uint64_t>::max();

}  // namespace

MergeOrder::MergeOrder(std::size_t runs, std::size_t length) {
  for (std::vector<std::uint64_t>& buffer : buffers_) {
    buffer.resize(runs * (length + 2));
  }
  runs_.reserve(runs);
}

void MergeOrder::begin() {
  runs_.clear();
  position_ = buffers_[0].data();
  *position_++ = below_all;
}

void MergeOrder::run_ends(std::size_t keys) {
  if (keys == 0) {
    return;
  }
  runs_.push_back({position_, keys});
  position_ += keys;
  *position_++ = above_all;
  if (position_ != buffers_[0].data() + buffers_[0].size()) {
    *position_++ = below_all;
  }
}

std::span<const std::uint64_t> MergeOrder::merge() {
  int into = 1;
  while (runs_.size() > 1) {
    std::uint64_t* out = buffers_[into].data();
    std::size_t merged = 0;
    for (std::size_t i = 0; i < runs_.size(); i += 2, ++merged) {
      *out++ = below_all;
      const Run a = runs_[i];
      const Run b = i + 1 < runs_.size() ? runs_[i + 1] : Run{nullptr, 0};
      if (b.length == 0) {
        std::copy_n(a.first, a.length, out);
      } else {
        merge_two(a, b, out);
      }
      runs_[merged] = {out, a.length + b.length};
      out += a.length + b.length;
      *out++ = above_all;
    }
    runs_.resize(merged);
    into = 1 - into;
  }
  return runs_.empty() ? std::span<const std::uint64_t>{}
                       : std::span<const std::uint64_t>{runs_[0].first, runs_[0].length};
}

/// From both ends at once: two chains of dependent steps instead of one. No key is in both runs.
void MergeOrder::merge_two(Run a, Run b, std::uint64_t* out) {
  const std::size_t total = a.length + b.length;
  const std::uint64_t* a_front = a.first;
  const std::uint64_t* b_front = b.first;
  const std::uint64_t* a_back = a.first + a.length - 1;
  const std::uint64_t* b_back = b.first + b.length - 1;
  std::uint64_t* back = out + total - 1;
  for (std::size_t i = total / 2; i > 0; --i) {
    const std::uint64_t a_low = *a_front;
    const std::uint64_t b_low = *b_front;
    const bool a_first = a_low < b_low;
    *out++ = std::min(a_low, b_low);
    a_front += a_first;
    b_front += !a_first;
    const std::uint64_t a_high = *a_back;
    const std::uint64_t b_high = *b_back;
    const bool a_last = a_high > b_high;
    *back-- = std::max(a_high, b_high);
    a_back -= a_last;
    b_back -= !a_last;
  }
  if (total % 2 != 0) {
    *out = std::min(*a_front, *b_front);
  }
}

}  // namespace rxpool
