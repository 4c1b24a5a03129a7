#pragma once
// One of the four rings between the kernel and the application of an AF_XDP socket: one producer, one consumer, a power
// of two of slots (XD-40). The producer writes entries and shows them together; the consumer takes entries and gives
// their slots back together. Both happen at instants of their own, which the other side looks at.

#include <cstdint>
#include <utility>
#include <vector>

#include "sim/time.hpp"

namespace rxpool {

template <typename Entry>
class XskRing {
 public:
  /// `size` is a power of two.
  explicit XskRing(std::uint32_t size) : mask_(size - 1), slots_(size) {}

  // The producer's side.
  /// Is there a slot that was given back by `now`?
  bool has_room(Time now) const { return produced_ - released_ <= mask_ && slots_[produced_ & mask_].at <= now; }
  /// Writes an entry; there is room.
  void produce(const Entry& entry) { slots_[produced_++ & mask_] = {entry, Time::never()}; }
  bool submit_due() const { return submitted_ != produced_; }
  /// Shows what was written since the last time, from `at` on.
  void submit(Time at) {
    for (; submitted_ != produced_; ++submitted_) slots_[submitted_ & mask_].at = at;
  }

  // The consumer's side.
  bool readable(Time now) const { return readable_at() <= now; }
  /// When the oldest entry can be seen; never() while nobody has said so.
  Time readable_at() const { return consumed_ == produced_ ? Time::never() : slots_[consumed_ & mask_].at; }
  /// Takes the oldest entry; its slot stays in use.
  const Entry& consume() { return slots_[consumed_++ & mask_].entry; }
  /// Gives the slots of all entries taken so far back, from `at` on.
  void release(Time at) {
    for (; released_ != consumed_; ++released_) slots_[released_ & mask_].at = at;
  }

  /// Entries not yet taken.
  std::uint32_t count() const { return static_cast<std::uint32_t>(produced_ - consumed_); }

 private:
  struct Slot {
    Entry entry;
    Time at{0};  ///< of an entry: visible from then on; of a free slot: given back then
  };
  std::uint64_t mask_;
  std::vector<Slot> slots_;
  std::uint64_t produced_ = 0;
  std::uint64_t submitted_ = 0;
  std::uint64_t consumed_ = 0;
  std::uint64_t released_ = 0;
};

/// A flag of one side that the other side reads, from an instant on (XDP_RING_NEED_WAKEUP).
class XskFlag {
 public:
  explicit XskFlag(bool value = false) : value_(value), before_(value) {}
  void set(bool value, Time at) {
    if (value == value_) return;
    before_ = std::exchange(value_, value);
    since_ = at;
  }
  bool seen(Time now) const { return now >= since_ ? value_ : before_; }

 private:
  bool value_;
  bool before_;
  Time since_{0};
};

}  // namespace rxpool
