#pragma once
// The invariants of a receive path, as one pure check over the numbers of a finished run. The numbers are plain data,
// so that a test can falsify each of them and see that the check notices.

#include <cstdint>
#include <string>
#include <vector>

#include "models/host/host.hpp"

namespace rxpool {

struct PoolNumbers {
  std::string name;
  std::int64_t hold = 0, release = 0, inflight = 0, cache = 0, ring = 0, posted = 0, held = 0;
  std::uint64_t fast = 0, refill = 0, slow = 0, slow_high_order = 0, empty = 0;
  std::uint64_t state_hold_events = 0, state_release_events = 0;
  std::uint64_t cached = 0, to_ring = 0, released_refcnt = 0, ring_full = 0;
  std::uint64_t cache_size = 128, cache_refill = 64;
};

struct QueueNumbers {
  std::string name;
  std::uint64_t seen = 0;  ///< packets that the driver saw
  std::uint64_t xdp_drop = 0, xdp_aborted = 0, skb_alloc_failed = 0;
  std::uint64_t polls = 0;
  std::uint64_t ring_size = 0, ring_missing = 0, ring_fill = 0, ring_completed = 0;
};

struct CpuNumbers {
  std::string name;
  std::uint64_t net_rx_action = 0, polls = 0, poll_work = 0, budget = 300;
};

struct NicNumbers {
  std::string name;
  std::uint64_t arrived = 0, discards = 0, out_of_buffer = 0, waiting = 0;
  std::vector<QueueNumbers> queues;
};

struct Numbers {
  std::vector<PoolNumbers> pools;
  std::vector<NicNumbers> nics;
  std::vector<CpuNumbers> cpus;
  std::uint64_t steering_drops = 0;
  std::uint64_t skbs_live = 0, skbs_queued = 0;                           ///< allocated; found in queues
  std::uint64_t frames_out = 0, frames_left = 0, frames_flying = 0;       ///< of the TX rings
  std::uint64_t redirected_to_cpus = 0, to_cpus = 0;                      ///< by the drivers; in bulks and rings
  std::uint64_t cpumap_processed = 0, cpumap_taken = 0, cpumap_ends = 0;  ///< taken: to the stack
  std::uint64_t to_xsks = 0;                                              ///< into RX rings of AF_XDP sockets
  std::uint64_t xsk_ends = 0, delivered_by_xsks = 0;  ///< worked on, taken or waiting; of these, worked on
  std::uint64_t to_pmds = 0, pmd_ends = 0;            ///< packets of poll-mode drivers; worked on, in hand, sent
  std::uint64_t to_stack = 0, delivered = 0, stack_drops = 0, in_stack = 0;  ///< packets
};

Numbers numbers_of(Host& host);
/// One line per invariant that does not hold, beginning with its number in the reference (§8).
std::vector<std::string> violations(const Numbers& numbers);

}  // namespace rxpool
