#pragma once
// The way from a remote sender to the host's link: one bottleneck (a server with a byte rate and a finite queue, which
// drops at random, drops what finds the queue full, and marks what finds it above a threshold, RFC 3168), then a
// constant delay. A packet's whole passage follows from when the ones before it left, so it is computed at once:
// no event. The way back has a delay only: acknowledgements are not lost and do not queue. Rules TC-1 to TC-4. Leaves
// out: reordering, other traffic in the queue, active queue management beyond the threshold.

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/random.hpp"
#include "sim/time.hpp"

namespace rxpool {

struct PathParams {
  double rtt_us = 1000;          ///< without queueing; half of it each way, 1 … 1e7 µs
  double rate_gbps = 10;         ///< of the bottleneck, 0.001 … 1600 Gbit/s
  double queue_kib = 0;          ///< room in front of it; 0: one product of rate and round-trip time
  double loss = 0;               ///< probability that a packet is lost whatever the queue, 0 … 0.5
  double ecn_threshold_kib = 0;  ///< marks packets that find more than this waiting; 0: never
};

struct PathStats {
  std::uint64_t packets = 0;
  std::uint64_t lost = 0;      ///< at random
  std::uint64_t overflow = 0;  ///< queue full
  std::uint64_t marked = 0;
};

class Path {
 public:
  Path(const PathParams& params, std::uint64_t seed, std::uint32_t replication, std::string_view name);

  struct Passage {
    Time arrives;  ///< at the host's link; never(): lost
    bool marked = false;
  };
  /// The next packet, in the order in which they are sent.
  Passage pass(Time sent, std::uint32_t frame_bytes, bool ecn_capable);

  /// Nothing that is sent from now on, at or after `sent`, arrives before this.
  Time earliest_arrival(Time sent) const;
  /// When an acknowledgement that leaves the host at `sent` is at the sender.
  Time acknowledged(Time sent) const { return sent + backward_; }
  Time backward() const { return backward_; }

  /// Bytes waiting or in service at `now`, not before the last packet sent.
  std::int64_t backlog_bytes(Time now) const;
  const PathStats& stats() const { return stats_; }

 private:
  Time service(std::int64_t bytes) const;

  std::int64_t kbps_;
  Time forward_;
  Time backward_;
  std::int64_t queue_bytes_;
  std::int64_t threshold_bytes_;
  double loss_;
  RandomStream random_;
  Time free_{0};  ///< the server has sent everything before
  PathStats stats_;
};

}  // namespace rxpool
