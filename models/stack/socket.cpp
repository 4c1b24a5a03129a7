#include "models/stack/socket.hpp"

namespace rxpool {

void Socket::push(SkbId id, Time visible) {
  if (size_ == queue_.size()) {
    std::vector<SkbId> larger(queue_.size() * 2);
    for (std::uint32_t i = 0; i < size_; ++i) larger[i] = queue_[(head_ + i) & (queue_.size() - 1)];
    queue_.swap(larger);
    head_ = 0;
  }
  queue_[(head_ + size_) & (queue_.size() - 1)] = id;
  ++size_;
  slab_[id].visible = visible;
}

SkbId Socket::pop() {
  const SkbId id = queue_[head_];
  head_ = (head_ + 1) & static_cast<std::uint32_t>(queue_.size() - 1);
  --size_;
  return id;
}

}  // namespace rxpool
