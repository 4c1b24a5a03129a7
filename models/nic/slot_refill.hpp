#pragma once
// The refill loop of drivers that put one buffer after the other into their ring (half-page flip, page fragments): so
// many slots to a step, until the ring is full or memory is short. Resumable.

#include <algorithm>
#include <cstdint>

#include "models/nic/rx_buffers.hpp"

namespace rxpool {

class SlotRefill {
 public:
  /// Before time starts: fills the whole ring; false when memory is short. `put` as below.
  template <typename Put>
  static bool fill(MemoryContext& context, RxRing& ring, Put&& put) {
    const std::uint32_t slots = ring.missing();
    std::uint32_t filled = 0;
    while (filled < slots && put(context, ring.slot_ahead(filled))) ++filled;
    ring.post(filled, Time{0});
    return filled == slots;
  }

  bool under_way() const { return under_way_; }
  /// `may_go_on(slots)`: is it this CPU's turn for what that many slots touch? `put(context, slot)`: a buffer into the
  /// slot, false when memory is short.
  template <typename MayGoOn, typename Put>
  RxBuffers::Refill run(Core& core, RxRing& ring, std::uint32_t unit, std::uint64_t& failures, bool repoll_on_failure,
                        MayGoOn&& may_go_on, Put&& put) {
    if (!under_way_) {
      under_way_ = true;
      refilled_ = 0;
      core.charge(Step::refill_bulk);
    }
    const std::uint32_t target = ring.missing();
    bool failed = false;
    while (refilled_ < target && !failed) {
      const std::uint32_t slots = std::min(unit, target - refilled_);
      if (core.interrupt_due() || !core.may_step(EventClass::poll) || !may_go_on(slots)) {
        return RxBuffers::Refill::waiting;
      }
      MemoryContext& context = core.memory(true);
      std::uint32_t got = 0;
      while (got < slots && put(context, ring.slot_ahead(refilled_ + got))) ++got;
      core.charge_memory();
      core.charge(Step::refill_descriptor, got);
      refilled_ += got;
      failed = got != slots;
    }
    if (failed) ++failures;
    under_way_ = false;
    if (refilled_ != 0) {
      core.charge(Step::doorbell);
      ring.post(refilled_, core.now());
    }
    return failed && repoll_on_failure ? RxBuffers::Refill::repoll : RxBuffers::Refill::done;
  }

 private:
  std::uint32_t refilled_ = 0;
  bool under_way_ = false;
};

}  // namespace rxpool
