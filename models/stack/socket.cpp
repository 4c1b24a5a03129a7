#include "models/stack/socket.hpp"

namespace rxpool {

void Socket::append(SkbId id, Time visible) {
  const std::uint32_t held = size_ + unsettled_;
  if (held == queue_.size()) {
    std::vector<SkbId> larger(queue_.size() * 2);
    for (std::uint32_t i = 0; i < held; ++i) larger[i] = queue_[(head_ + i) & (queue_.size() - 1)];
    queue_.swap(larger);
    head_ = 0;
  }
  queue_[(head_ + held) & (queue_.size() - 1)] = id;
  ++unsettled_;
  slab_[id].visible = visible;
}

SkbId Socket::pop() {
  const SkbId id = queue_[head_];
  head_ = (head_ + 1) & static_cast<std::uint32_t>(queue_.size() - 1);
  --size_;
  return id;
}

}  // namespace rxpool
