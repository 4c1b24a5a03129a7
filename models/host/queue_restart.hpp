#pragma once
// Queues that a timed change gives a new ring (`ethtool -G`, or an attach for which the driver reopens its channels):
// the driver waits until the NAPI is idle, takes ring and page_pool down and opens new ones at once. A pool whose pages
// are still out stays in the zone, detached, until the last one is home (rules NA-26, DR-40, PP-52 to PP-54). Leaves
// out the time that device and driver take for it, and on which CPU.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "models/host/host.hpp"

namespace rxpool {

/// Of one queue.
class QueueRestart final : public Actor {
 public:
  QueueRestart(Host& host, HostNic& nic, std::size_t queue, Actor& pool_release);
  const HostQueue& queue() const { return queue_; }
  /// The driver disables the NAPI; the rest follows when its poll is over.
  void begin(Time now, std::uint32_t ring_size);
  void act(Time now) override;

 private:
  void disable(Time now);
  void restart(Time now);

  Host& host_;
  HostNic& nic_;
  HostQueue& queue_;
  std::string key_;  ///< of the queue in the scenario
  Actor& pool_release_;
  std::deque<std::uint32_t> asked_;  ///< ring sizes, the one being done first
};

/// Of all queues that the events of the scenario restart.
class QueueRestarts {
 public:
  /// Adds its actors to the host's engine.
  explicit QueueRestarts(Host& host);
  QueueRestart& of(const std::string& queue);
  const std::vector<std::unique_ptr<QueueRestart>>& queues() const { return queues_; }

 private:
  /// page_pool_release_retry of all detached pools.
  class PoolRelease final : public Actor {
   public:
    explicit PoolRelease(Host& host) : host_(host) {}
    void act(Time now) override;

   private:
    Host& host_;
  };

  PoolRelease pool_release_;
  std::vector<std::unique_ptr<QueueRestart>> queues_;
};

/// What all pools that a queue has had counted, those that are gone included.
PagePoolStats pool_stats(Host& host, const HostQueue& queue);

/// What the pools of a queue's earlier rings wait for.
struct DetachedPools {
  std::uint32_t pools = 0;
  std::uint32_t inflight = 0;  ///< pages
};
DetachedPools detached(Host& host, const HostQueue& queue);

}  // namespace rxpool
