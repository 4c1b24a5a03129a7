#include "models/stack/udp_socket.hpp"

namespace rxpool {

void UdpSocket::enqueue(SkbId id, Time visible) {
  push(id, visible);
  rmem_alloc_ += slab_[id].truesize;
  observe(visible);
}

SkbId UdpSocket::dequeue(Time now) {
  // An empty reader queue takes over everything that has arrived (__skb_recv_udp).
  if (reader_queue_ == 0) reader_queue_ = queued();
  const SkbId id = pop();
  --reader_queue_;
  // SK-34: memory goes back in lumps of a quarter of the buffer, or when the reader queue is empty.
  forward_deficit_ += slab_[id].truesize;
  if (forward_deficit_ >= params_.sk_rcvbuf >> 2 || reader_queue_ == 0) {
    rmem_alloc_ -= forward_deficit_;
    forward_deficit_ = 0;
  }
  observe(now);
  return id;
}

}  // namespace rxpool
