#pragma once
// The descriptor ring between one RX queue's driver and its NIC. Slots are used in order; three counts tell the state:
//
//     polled <= consumed <= posted         (absolute numbers; slot = number & mask)
//     posted - consumed    descriptors the NIC can still use       (rx_fill)
//     consumed - polled    packets completed, not yet seen by the driver
//     size - (posted - polled)  slots the driver may refill        (missing)
//
// Every descriptor carries the time from which it is posted (descriptors posted together share one record) and every
// completion its own time, because driver and NIC are simulated at different instants. A slot keeps its page until the
// driver replaces it (DR-11).

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "models/memory/llc.hpp"
#include "models/memory/page.hpp"
#include "models/packet.hpp"

namespace rxpool {

class RxRing {
 public:
  explicit RxRing(std::uint32_t size)
      : mask_(std::bit_ceil(size) - 1), completions_(mask_ + 1), pages_(mask_ + 1), batches_(mask_ + 1), size_(size) {}

  std::uint32_t size() const { return size_; }
  std::uint32_t fill() const { return static_cast<std::uint32_t>(posted_ - consumed_); }
  std::uint32_t completed() const { return static_cast<std::uint32_t>(consumed_ - polled_); }
  /// Slots the driver may refill.
  std::uint32_t missing() const { return size_ - static_cast<std::uint32_t>(posted_ - polled_); }

  // Driver side.
  std::uint32_t next_slot() const { return static_cast<std::uint32_t>(posted_) & mask_; }
  std::uint32_t slot_ahead(std::uint32_t n) const { return static_cast<std::uint32_t>(posted_ + n) & mask_; }
  PageId page_of(std::uint32_t slot) const { return pages_[slot].page; }
  BufferId buffer_of(std::uint32_t slot) const { return pages_[slot].buffer; }
  /// The slot's buffer begins `half` halves of a page after the begin of `page`.
  void set_page(std::uint32_t slot, PageId page, std::uint32_t half = 0) { pages_[slot] = {page, 2 * page + half}; }
  void clear_page(std::uint32_t slot) { pages_[slot] = {}; }
  /// Puts the pages of the next `slots` slots there in reverse order; each page serves `per_page` slots.
  void reverse_pages(std::uint32_t ahead, std::uint32_t slots, std::uint32_t per_page) {
    const std::uint32_t first = slot_ahead(ahead);
    if (per_page == 1 && first + slots <= mask_ + 1) {
      std::reverse(pages_.begin() + first, pages_.begin() + first + slots);
      return;
    }
    std::uint32_t low = 0;
    for (std::uint32_t high = slots; high > low + per_page; low += per_page) {
      high -= per_page;
      for (std::uint32_t i = 0; i < per_page; ++i) {
        std::swap(pages_[slot_ahead(ahead + low + i)], pages_[slot_ahead(ahead + high + i)]);
      }
    }
  }
  /// Hands the next `n` slots to the NIC; they are usable from `at` on.
  void post(std::uint32_t n, Time at) {
    if (n == 0) return;
    posted_ += n;
    batches_[next_batch_++ & mask_] = {posted_, at};
  }
  /// The i-th completion not yet polled; valid for i < completed().
  Packet& completion(std::uint32_t i = 0) { return completions_[(first_completion_ + i) & mask_]; }
  /// The next completions that lie side by side in memory: at least one if there is any.
  std::span<const Packet> adjacent_completions() const {
    const std::uint32_t first = first_completion_ & mask_;
    return {completions_.data() + first, std::min(completed(), mask_ + 1 - first)};
  }
  std::uint32_t next_polled_slot() const { return polled_slot(0); }
  /// Of the i-th completion not yet polled.
  std::uint32_t polled_slot(std::uint32_t i) const { return static_cast<std::uint32_t>(polled_ + i) & mask_; }
  void poll(std::uint32_t n) {
    polled_ += n;
    first_completion_ += n;
    // An empty queue begins at the front again: while little waits, little host memory is touched.
    if (polled_ == consumed_) first_completion_ = next_completion_ = 0;
  }

  // NIC side.
  /// Is there a descriptor at `at`? Asked in time order.
  bool has_descriptor(Time at) { return consumed_ < usable_ || becomes_usable(at); }
  /// Consumes the next descriptor, which there is, for `packet`; returns the buffer it was written to.
  BufferId complete(const Packet& packet, Time completed) {
    const std::uint32_t slot = static_cast<std::uint32_t>(consumed_++) & mask_;
    Packet& completion = completions_[next_completion_++ & mask_];
    completion = packet;
    completion.completed = completed;
    completion.buffer = pages_[slot].buffer;
    return completion.buffer;
  }
  /// Completion time of the n-th packet (from 1) the driver has not seen yet; never() if there are fewer.
  Time completed_at(std::uint32_t n) const {
    if (n == 0 || completed() < n) return Time::never();
    return completions_[(first_completion_ + n - 1) & mask_].completed;
  }

 private:
  struct Memory {
    PageId page = no_page;  ///< head of its block
    BufferId buffer = 0;
  };
  /// Descriptors posted together.
  struct Batch {
    std::uint64_t end = 0;  ///< `posted` after them
    Time at;                ///< usable from then on
  };
  bool becomes_usable(Time at) {
    if (usable_ == posted_) return false;
    const Batch& batch = batches_[first_batch_ & mask_];
    if (batch.at > at) return false;
    usable_ = batch.end;
    ++first_batch_;
    return true;
  }

  // What the NIC needs for every packet comes first, side by side.
  alignas(64) std::uint64_t consumed_ = 0;
  std::uint64_t usable_ = 0;  ///< descriptors before this number have been found usable
  std::uint32_t mask_;
  std::uint32_t next_completion_ = 0;
  std::vector<Packet> completions_;  ///< ring of its own, in completion order
  std::vector<Memory> pages_;
  std::vector<Batch> batches_;  ///< those not found usable yet
  std::uint32_t first_batch_ = 0;
  std::uint32_t next_batch_ = 0;
  std::uint32_t first_completion_ = 0;
  std::uint32_t size_;
  std::uint64_t posted_ = 0;
  std::uint64_t polled_ = 0;
};

}  // namespace rxpool
