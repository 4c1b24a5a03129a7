#include "models/stack/udp_socket.hpp"

namespace rxpool {
namespace {

constexpr std::uint32_t udp_rmem_min = page_bytes;  // sysctl udp_rmem_min: what a socket gets in spite of udp_mem[0]

}  // namespace

std::uint64_t UdpSocket::pages_for(std::uint32_t truesize) const {
  return (truesize - forward_alloc_ + page_bytes - 1) / page_bytes;
}

/// __sk_mem_raise_allocated: UDP has no state of memory pressure, so that its first limit is the one that counts.
bool UdpSocket::may_take(std::uint64_t pages, std::uint32_t truesize) const {
  if (cgroup_ != nullptr && !cgroup_->has_room(pages)) return false;
  if (memory_.pages + pages <= memory_.least) return true;
  return memory_.pages + pages <= memory_.most && rmem_alloc_ + truesize < udp_rmem_min;
}

void UdpSocket::refused(Admission why, std::uint32_t truesize) {
  if (why == Admission::no_buffer) {
    ++stats().rcvbuf_errors;
    return;
  }
  ++mem_errors_;
  if (cgroup_ != nullptr && !cgroup_->has_room(pages_for(truesize))) ++cgroup_->max_events;
}

void UdpSocket::enqueue(SkbId id, Time visible) {
  const std::uint32_t truesize = slab_[id].truesize;
  push(id, visible);
  rmem_alloc_ += truesize;
  if (truesize > forward_alloc_) {
    const std::uint64_t pages = pages_for(truesize);
    memory_.pages += pages;
    if (cgroup_ != nullptr) cgroup_->pages += pages;
    forward_alloc_ += static_cast<std::uint32_t>(pages) * page_bytes;
  }
  forward_alloc_ -= truesize;
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
    forward_alloc_ += forward_deficit_;
    forward_deficit_ = 0;
    // udp_rmem_release: whole pages but for the last byte.
    const std::uint32_t pages = (forward_alloc_ - 1) / page_bytes;
    forward_alloc_ -= pages * page_bytes;
    memory_.pages -= pages;
    if (cgroup_ != nullptr) cgroup_->pages -= pages;
  }
  observe(now);
  return id;
}

}  // namespace rxpool
