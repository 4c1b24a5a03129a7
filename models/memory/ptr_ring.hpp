#pragma once
// The pool's FIFO of pages, after the kernel's ptr_ring: an array in which an empty slot means "nothing here". The
// producer sees "full" when its next slot is not empty, and the consumer empties consumed slots in batches, so a ring
// of N slots can look full with N - 15 live entries. Rules: PP-35..37; include/linux/ptr_ring.h.

#include <cstdint>
#include <vector>

#include "models/memory/page.hpp"

namespace rxpool {

class PtrRing {
 public:
  static constexpr std::uint32_t consumer_batch = 16;  ///< two cache lines of pointers

  explicit PtrRing(std::uint32_t size)
      : slots_(size, no_page), batch_(consumer_batch > size / 2 ? 1 : consumer_batch) {}

  /// False when the ring looks full (PP-35).
  bool produce(PageId page) {
    if (slots_.empty() || slots_[producer_] != no_page) {
      return false;
    }
    slots_[producer_] = page;
    if (++producer_ == size()) {
      producer_ = 0;
    }
    ++count_;
    return true;
  }

  /// Oldest page, or no_page.
  PageId consume() {
    const PageId page = peek();
    if (page != no_page) {
      discard_one();
    }
    return page;
  }

  /// Oldest page without taking it; no_page when the ring looks empty (PP-37).
  PageId peek() const { return slots_.empty() ? no_page : slots_[consumer_head_]; }
  bool looks_full() const { return slots_.empty() || slots_[producer_] != no_page; }
  /// Would `count` produce() in a row succeed? Empty slots follow one another from the producer on.
  bool has_room(std::uint32_t count) const {
    return count <= size() && (count == 0 || slots_[(producer_ + count - 1) % size()] == no_page);
  }

  std::uint32_t count() const { return count_; }  ///< live entries
  std::uint32_t size() const { return static_cast<std::uint32_t>(slots_.size()); }
  std::uint32_t batch() const { return batch_; }
  /// i-th oldest live entry. For tests and snapshots.
  PageId at(std::uint32_t i) const { return slots_[(consumer_head_ + i) % size()]; }

 private:
  // Consumed slots are emptied backwards, a batch at a time, and always at the end of the array (PP-36).
  void discard_one() {
    std::uint32_t head = consumer_head_++;
    if (consumer_head_ - consumer_tail_ >= batch_ || consumer_head_ == size()) {
      for (; head + 1 > consumer_tail_; --head) {
        slots_[head] = no_page;
      }
      consumer_tail_ = consumer_head_;
    }
    if (consumer_head_ == size()) {
      consumer_head_ = 0;
      consumer_tail_ = 0;
    }
    --count_;
  }

  std::vector<PageId> slots_;
  std::uint32_t producer_ = 0;
  std::uint32_t consumer_head_ = 0;  ///< next to take
  std::uint32_t consumer_tail_ = 0;  ///< first slot not yet emptied
  std::uint32_t count_ = 0;
  std::uint32_t batch_;
};

}  // namespace rxpool
