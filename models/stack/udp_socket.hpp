#pragma once
// A UDP socket's receive side: rcvbuf accounting on enqueue, the reader queue, and the late return of receive memory.
// Rules SK-30, SK-31, SK-33, SK-34 (docs/rules/stack.md). Leaves out: skb_condense (SK-32), busy locks, GRO'd packets.

#include <cstdint>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/stack/skb.hpp"
#include "sim/gauge.hpp"
#include "sim/histogram.hpp"

namespace rxpool {

class SocketReader;

struct UdpSocketParams {
  std::uint16_t port = 0;
  std::uint32_t sk_rcvbuf = 212992;  ///< bytes, after the kernel's doubling (SK-30)
  bool admits_by_size = true;        ///< 6.15 on: the packet's truesize counts before it is queued (SK-31)
};

struct UdpSocketStats {
  std::uint64_t udp_in_datagrams = 0;   ///< UdpInDatagrams: read by the application
  std::uint64_t udp_rcvbuf_errors = 0;  ///< UdpRcvbufErrors = sk_drops
  std::uint64_t bytes = 0;
};

class UdpSocket {
 public:
  UdpSocket(const UdpSocketParams& params, SkbSlab& slab) : params_(params), slab_(slab), queue_(64) {}

  std::uint16_t port() const { return params_.port; }
  /// Would this much more be refused now?
  bool full(std::uint32_t truesize) const {
    if (params_.admits_by_size) return rmem_alloc_ + truesize > params_.sk_rcvbuf && rmem_alloc_ != 0;
    return rmem_alloc_ > params_.sk_rcvbuf;
  }
  void enqueue(SkbId id, Time visible);
  /// Is there a packet that the reader can see at `now`?
  bool readable(Time now) const { return size_ != 0 && slab_[queue_[head_]].visible <= now; }
  Time readable_at() const { return size_ == 0 ? Time::never() : slab_[queue_[head_]].visible; }
  /// Takes the oldest packet; its memory is given back to the socket now or later (SK-34).
  SkbId dequeue(Time now);

  template <typename Visit>
  void for_each_queued(Visit&& visit) const {
    for (std::uint32_t i = 0; i < size_; ++i) visit(queue_[(head_ + i) & (queue_.size() - 1)]);
  }
  std::uint32_t queued() const { return size_; }
  std::uint32_t rmem_alloc() const { return rmem_alloc_; }
  Gauge& rmem() { return rmem_; }
  Gauge& depth() { return depth_; }
  UdpSocketStats& stats() { return stats_; }
  Histogram& latency() { return latency_; }

  SocketReader* reader = nullptr;  ///< woken when a packet arrives
  Core* reader_core = nullptr;

 private:
  UdpSocketParams params_;
  SkbSlab& slab_;
  std::vector<SkbId> queue_;  ///< ring, power of two
  std::uint32_t head_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t reader_queue_ = 0;  ///< packets already moved to udp_sock.reader_queue
  std::uint32_t rmem_alloc_ = 0;
  std::uint32_t forward_deficit_ = 0;
  Gauge rmem_;
  Gauge depth_;
  UdpSocketStats stats_;
  Histogram latency_;
};

}  // namespace rxpool
