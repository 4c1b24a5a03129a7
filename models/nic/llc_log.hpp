#pragma once
// How far the LLC had come at each instant of the port's DMA, every sixteenth write. The port works ahead of the CPUs;
// a CPU that reads a packet looks up the cache as it stood at its own time.

#include <array>
#include <cstdint>
#include <vector>

#include "models/memory/llc.hpp"
#include "sim/time.hpp"

namespace rxpool {

class LlcLog {
 public:
  LlcLog() : entries_(capacity) {}

  /// The view after a sixteenth write, which ended at `at`.
  void note(Time at, const Llc::View& view) {
    entries_[newest_ & (capacity - 1)] = {at, view};
    ++newest_;
  }
  /// The cache at `now`, within Llc::view_writes; `cursor` is the reader's own place, which only moves on.
  const Llc::View& at(Time now, std::uint64_t& cursor) const {
    if (cursor + capacity < newest_ + 1) cursor = newest_ + 1 - capacity;
    while (cursor < newest_ && entries_[cursor & (capacity - 1)].at <= now) ++cursor;
    return cursor == 0 ? start_ : entries_[(cursor - 1) & (capacity - 1)].view;
  }

 private:
  static constexpr std::uint64_t capacity = 4096;
  struct Entry {
    Time at;
    Llc::View view;
  };
  Llc::View start_;
  std::vector<Entry> entries_;
  std::uint64_t newest_ = 0;
};

}  // namespace rxpool
