#pragma once
// Who can give memory back when the host runs short: page cache and other consumers register as sources with the
// allocator; kswapd, direct reclaim and the OOM killer ask them. What they free goes through the freeing CPU's per-CPU
// list like any other page. Swap, writeback and page ageing are left out: a source knows itself how much it can give.
// Rules: PA-51..53; mm/vmscan.c, mm/oom_kill.c.

#include <cstdint>

#include "models/memory/context.hpp"

namespace rxpool {

inline constexpr std::uint32_t swap_cluster_max = 32;  ///< SWAP_CLUSTER_MAX
inline constexpr unsigned max_reclaim_retries = 16;    ///< MAX_RECLAIM_RETRIES

class ReclaimSource {
 public:
  virtual ~ReclaimSource() = default;
  /// Frees up to `pages` pages of that node and returns how many it freed.
  virtual std::uint32_t reclaim(MemoryContext& ctx, unsigned node, std::uint32_t pages) = 0;
  /// Pages that killing this consumer would free; the largest is the victim. 0: cannot be killed.
  virtual std::uint64_t oom_pages() const = 0;
  /// The OOM killer chose this one: frees everything, returns the number of pages.
  virtual std::uint64_t oom_kill(MemoryContext& ctx) = 0;
};

}  // namespace rxpool
