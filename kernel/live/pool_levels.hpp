#pragma once
// Levels of a page_pool from several readings: the median by pages outside, because one reading may be off by a refill.

#include <cstdint>

#include "kernel/live/pool_snapshot.h"

namespace rxpool {

/// Pages of a pool at one instant.
struct PageLevels {
  std::int64_t time_ns = 0;  ///< CLOCK_MONOTONIC
  std::int32_t held = 0;     ///< outside of the pool: hold - release - cache - ring; posted ones included
  std::int32_t inflight = 0;
  std::uint32_t cache = 0;
  std::uint32_t ring = 0;
};

PageLevels median_levels(const PoolSnapshot& snapshot);

}  // namespace rxpool
