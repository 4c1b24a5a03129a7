#pragma once
// The on-NIC packet buffer: packets wait here for PCIe. Its overflow is rx_discards_phy. Transfers end in order, so the
// occupancy at an instant is what entered minus what has ended by then; what has ended is looked at only when there
// would be no room otherwise.
#include <bit>
#include <cstdint>
#include <vector>

#include "sim/time.hpp"

namespace rxpool {

class RxBuffer {
 public:
  explicit RxBuffer(std::uint32_t bytes)
      : bytes_(bytes), mask_(std::bit_ceil(bytes / 64 + 2) - 1), waiting_(mask_ + 1) {}

  /// Room for a frame that arrives at `now`? Calls come in time order.
  bool admits(std::uint32_t frame_bytes, Time now) {
    if (used_ + frame_bytes <= bytes_) [[likely]]
      return true;
    while (head_ != tail_ && waiting_[head_ & mask_].leaves <= now) used_ -= waiting_[head_++ & mask_].bytes;
    return used_ + frame_bytes <= bytes_;
  }
  /// A frame that need not wait for PCIe finds the buffer empty: everything before it has left. Without a branch,
  /// because whether it waits is a coin toss.
  void all_left_if(bool idle) {
    const std::uint64_t keep = std::uint64_t{idle} - 1;
    head_ &= keep;
    tail_ &= keep;
    used_ &= static_cast<std::uint32_t>(keep);
  }
  void enter(std::uint32_t frame_bytes, Time leaves) {
    waiting_[tail_++ & mask_] = {leaves, frame_bytes};
    used_ += frame_bytes;
  }

 private:
  struct Waiting {
    Time leaves;
    std::uint32_t bytes;
  };
  std::uint32_t bytes_;
  std::uint64_t mask_;
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;
  std::uint32_t used_ = 0;  ///< bytes from head_ to tail_
  std::vector<Waiting> waiting_;
};

}  // namespace rxpool
