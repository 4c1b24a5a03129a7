#pragma once
// What an application reads from: packets in the order in which they became readable. UDP and TCP differ in what they
// admit and in what a read gives back.

#include <cstdint>
#include <functional>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/stack/skb.hpp"
#include "sim/gauge.hpp"
#include "sim/histogram.hpp"

namespace rxpool {

class SocketReader;

struct SocketStats {
  std::uint64_t delivered = 0;      ///< packets read by the application: UdpInDatagrams
  std::uint64_t rcvbuf_errors = 0;  ///< refused for want of room: UdpRcvbufErrors, TCPRcvQDrop
  std::uint64_t bytes = 0;          ///< of the frames that were read
};

class Socket {
 public:
  Socket(std::uint16_t port, SkbSlab& slab) : slab_(slab), port_(port), queue_(64) {}
  virtual ~Socket() = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  std::uint16_t port() const { return port_; }
  /// Who looks at the socket at `now` finds what was queued by steps that began by then; the CPU that queues may be
  /// ahead of the one that reads.
  virtual void settle(Time /*now*/) {}
  /// How many packets its reader surely can take, on this CPU, before arriving packets could notice.
  virtual std::uint32_t unnoticed_reads(const Core& /*by*/) const { return 0; }
  /// The CPU on which all skbs in it were allocated, where unnoticed_reads() is not 0.
  virtual std::uint16_t alloc_cpu() const { return 0; }

  /// Is there a packet that the reader can see at `now`?
  bool readable(Time now) const { return size_ != 0 && slab_[queue_[head_]].visible <= now; }
  Time readable_at() const { return size_ == 0 ? Time::never() : slab_[queue_[head_]].visible; }
  /// Takes the oldest packet.
  virtual SkbId dequeue(Time now) = 0;
  /// The packet has been copied to the application, on this core.
  virtual void copied(Core&, SkbId) {}

  template <typename Visit>
  void for_each_queued(Visit&& visit) const {
    for (std::uint32_t i = 0; i < size_; ++i) visit(queue_[(head_ + i) & (queue_.size() - 1)]);
  }
  std::uint32_t queued() const { return size_; }
  /// Packets it keeps that cannot be read yet.
  virtual std::uint32_t out_of_order() const { return 0; }
  virtual void for_each_out_of_order(const std::function<void(SkbId)>&) const {}

  std::uint32_t rmem_alloc() const { return rmem_alloc_; }
  Gauge& rmem() { return rmem_; }
  Gauge& depth() { return depth_; }
  SocketStats& stats() { return stats_; }
  Histogram& latency() { return latency_; }

  SocketReader* reader = nullptr;  ///< woken when a packet arrives
  Core* reader_core = nullptr;

 protected:
  void push(SkbId id, Time visible) {
    append(id, visible);
    settle_next();
  }
  SkbId pop();
  /// push() in two parts: the packet is behind the others, but not counted yet.
  void append(SkbId id, Time visible);
  void settle_next() {
    ++size_;
    --unsettled_;
  }
  std::uint32_t unsettled() const { return unsettled_; }
  SkbId next_unsettled() const { return queue_[(head_ + size_) & (queue_.size() - 1)]; }
  /// After a change of what is queued or charged.
  void observe(Time now) {
    rmem_.set(now, rmem_alloc_);
    depth_.set(now, size_);
  }

  SkbSlab& slab_;
  std::uint32_t rmem_alloc_ = 0;

 private:
  std::uint16_t port_;
  std::vector<SkbId> queue_;  ///< ring, power of two
  std::uint32_t head_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t unsettled_ = 0;  ///< behind those
  Gauge rmem_;
  Gauge depth_;
  SocketStats stats_;
  Histogram latency_;
};

}  // namespace rxpool
