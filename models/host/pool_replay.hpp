#pragma once
// How many pages would have been enough? Replays what a pool's users did, look by look, through a pool of a given size
// with the real cache and ring rules (PP-10 to PP-28), and finds the smallest with which no allocation is slow. Within
// a look the order of allocations and returns is not known: they alternate in units of a NAPI budget. Pages enter a
// pool in bulks, so the answer is a multiple of 64. Rule CT-14.

#include <cstdint>
#include <optional>
#include <span>

#include "models/memory/kernel_release.hpp"

namespace rxpool {

/// What happened to a pool between two looks.
struct PoolMoves {
  std::uint32_t allocs = 0;
  std::uint32_t direct_returns = 0;  ///< into the cache
  std::uint32_t ring_returns = 0;    ///< into the ring, or released because it was full
};

struct PoolReplayParams {
  std::uint32_t ring_size = 0;  ///< pool_size; 0: the kernel's default
  KernelRelease release{6, 18};
  std::uint32_t outside = 0;  ///< pages out of the pool before the first look
};

/// Slow-path calls of a pool that begins with `pages` pages.
std::uint64_t slow_allocs_with(std::uint32_t pages, std::span<const PoolMoves> moves, const PoolReplayParams& params);
/// The smallest number of pages without one, from `least` on; none when no number suffices because the ring lets go of
/// what it cannot hold.
std::optional<std::uint32_t> smallest_pool(std::span<const PoolMoves> moves, const PoolReplayParams& params,
                                           std::uint32_t least);

}  // namespace rxpool
