#pragma once
// A queue in one block of memory, a power of two, that doubles when it is full and is never given back: nothing is
// allocated in the steady state.

#include <cstddef>
#include <utility>
#include <vector>

namespace rxpool {

template <typename Entry>
class Fifo {
 public:
  explicit Fifo(std::size_t room = 64) : entries_(room) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  Entry& front() { return entries_[first_]; }
  const Entry& front() const { return entries_[first_]; }
  Entry& operator[](std::size_t i) { return entries_[(first_ + i) & (entries_.size() - 1)]; }
  const Entry& operator[](std::size_t i) const { return entries_[(first_ + i) & (entries_.size() - 1)]; }

  void push_back(const Entry& entry) {
    if (size_ == entries_.size()) grow();
    (*this)[size_++] = entry;
  }
  /// Inserts behind all entries that do not come after it; entries arrive nearly in order.
  template <typename Before>
  void insert_sorted(const Entry& entry, Before&& before) {
    push_back(entry);
    for (std::size_t i = size_ - 1; i > 0 && before(entry, (*this)[i - 1]); --i) std::swap((*this)[i], (*this)[i - 1]);
  }
  void pop_front() {
    first_ = (first_ + 1) & (entries_.size() - 1);
    --size_;
  }
  void clear() { size_ = 0; }

 private:
  void grow() {
    std::vector<Entry> larger(entries_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = (*this)[i];
    entries_.swap(larger);
    first_ = 0;
  }

  std::vector<Entry> entries_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace rxpool
