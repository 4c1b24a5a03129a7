#include "models/stack/udp_socket.hpp"

namespace rxpool {

void UdpSocket::enqueue(SkbId id, Time visible) {
  if (size_ == queue_.size()) {
    std::vector<SkbId> larger(queue_.size() * 2);
    for (std::uint32_t i = 0; i < size_; ++i) larger[i] = queue_[(head_ + i) & (queue_.size() - 1)];
    queue_.swap(larger);
    head_ = 0;
  }
  queue_[(head_ + size_) & (queue_.size() - 1)] = id;
  ++size_;
  Skb& skb = slab_[id];
  skb.visible = visible;
  rmem_alloc_ += skb.truesize;
  rmem_.set(visible, rmem_alloc_);
  depth_.set(visible, size_);
}

SkbId UdpSocket::dequeue(Time now) {
  // An empty reader queue takes over everything that has arrived (__skb_recv_udp).
  if (reader_queue_ == 0) reader_queue_ = size_;
  const SkbId id = queue_[head_];
  head_ = (head_ + 1) & static_cast<std::uint32_t>(queue_.size() - 1);
  --size_;
  --reader_queue_;
  // SK-34: memory goes back in lumps of a quarter of the buffer, or when the reader queue is empty.
  forward_deficit_ += slab_[id].truesize;
  if (forward_deficit_ >= params_.sk_rcvbuf >> 2 || reader_queue_ == 0) {
    rmem_alloc_ -= forward_deficit_;
    forward_deficit_ = 0;
  }
  rmem_.set(now, rmem_alloc_);
  depth_.set(now, size_);
  return id;
}

}  // namespace rxpool
