#pragma once
// A tournament over a fixed set of leaves, each with one key; the fastest pending-event structure for a few to a few
// thousand components (benchmarks/engine). A leaf's key may be changed without update() as long as update() follows
// before winner() is asked: the engine does so for the event it is just firing.

#include <bit>
#include <cstdint>
#include <vector>

#include "sim/event.hpp"

namespace rxpool {

class WinnerTree {
 public:
  explicit WinnerTree(std::size_t leaves = 1)
      : size_(std::bit_ceil(leaves < 1 ? std::size_t{1} : leaves)), keys_(size_, never_key()), winner_(2 * size_) {
    for (std::size_t i = 0; i < size_; ++i) winner_[size_ + i] = static_cast<std::uint32_t>(i);
    for (std::size_t node = size_ - 1; node >= 1; --node) winner_[node] = winner_[2 * node];
  }

  EventKey key(std::size_t leaf) const { return keys_[leaf]; }
  void set_key_only(std::size_t leaf, EventKey key) { keys_[leaf] = key; }

  void update(std::size_t leaf) {
    for (std::size_t node = (leaf + size_) >> 1; node >= 1; node >>= 1) {
      const std::uint32_t left = winner_[2 * node];
      const std::uint32_t right = winner_[2 * node + 1];
      winner_[node] = keys_[right] < keys_[left] ? right : left;
    }
  }

  std::uint32_t winner() const { return winner_[1]; }
  EventKey winner_key() const { return keys_[winner_[1]]; }

  /// Smallest key among the other leaves, whatever the key of this one.
  EventKey earliest_other(std::size_t leaf) const {
    EventKey earliest = never_key();
    for (std::size_t node = leaf + size_; node > 1; node >>= 1) {
      const EventKey sibling = keys_[winner_[node ^ 1]];
      earliest = sibling < earliest ? sibling : earliest;
    }
    return earliest;
  }

 private:
  std::size_t size_;
  std::vector<EventKey> keys_;
  std::vector<std::uint32_t> winner_;  // node -> leaf; nodes size_..2*size_-1 are the leaves
};

}  // namespace rxpool
