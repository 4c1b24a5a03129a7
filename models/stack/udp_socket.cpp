#include "models/stack/udp_socket.hpp"

#include <algorithm>

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
  return memory_.pages + pages <= memory_.most && charged_ + truesize < udp_rmem_min;
}

void UdpSocket::refused(Admission why, std::uint32_t truesize) {
  if (why == Admission::no_buffer) {
    ++stats().rcvbuf_errors;
    return;
  }
  ++mem_errors_;
  if (cgroup_ != nullptr && !cgroup_->has_room(pages_for(truesize))) ++cgroup_->max_events;
}

void UdpSocket::enqueue(SkbId id, Time begin, Time visible) {
  append(id, visible);
  Skb& skb = slab_[id];
  skb.queued = begin;
  const std::uint32_t truesize = skb.truesize;
  charged_ += truesize;
  largest_ = std::max(largest_, truesize);
  if (alloc_cpu_ != skb.alloc_cpu) alloc_cpu_ = alloc_cpu_ == none ? skb.alloc_cpu : several;
  // Whether it lacks pages is a coin toss: no branch.
  const std::uint64_t pages = truesize > forward_alloc_ ? pages_for(truesize) : 0;
  memory_.pages += pages;
  if (cgroup_ != nullptr) cgroup_->pages += pages;
  forward_alloc_ += static_cast<std::uint32_t>(pages) * page_bytes - truesize;
}

void UdpSocket::settle(Time now) {
  while (unsettled() != 0) {
    const Skb& skb = slab_[next_unsettled()];
    if (skb.queued > now) return;
    settle_next();
    rmem_alloc_ += skb.truesize;
    observe(skb.visible);
  }
}

/// SK-34: the read that empties the reader queue, or gives a quarter of the buffer back, makes room; until then a
/// socket is as full for arriving packets as it was, and its reader finds something.
std::uint32_t UdpSocket::unnoticed_reads(const Core& by) const {
  if (alloc_cpu_ < 0 || alloc_cpu_ == by.cpu()) return 0;
  const std::uint32_t readable = reader_queue_ != 0 ? reader_queue_ : queued() + unsettled();
  const std::uint32_t lump = (params_.sk_rcvbuf >> 2) - forward_deficit_;
  const std::uint32_t giving_back = std::min(readable, (lump + largest_ - 1) / largest_);
  return giving_back == 0 ? 0 : giving_back - 1;
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
    charged_ -= forward_deficit_;
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
