#include "kernel/live/pool_levels.hpp"

#include <algorithm>
#include <array>

namespace rxpool {

PageLevels median_levels(const PoolSnapshot& snapshot) {
  std::array<PageLevels, POOL_READS> reads{};
  const std::size_t count = std::clamp<std::size_t>(snapshot.count, 1, POOL_READS);
  for (std::size_t i = 0; i < count; ++i) {
    const PoolRead& read = snapshot.reads[i];
    const auto inflight = static_cast<std::int32_t>(read.hold - read.release);
    reads[i] = {.time_ns = static_cast<std::int64_t>(snapshot.time_ns),
                .held = inflight - static_cast<std::int32_t>(read.cache + read.ring),
                .inflight = inflight,
                .cache = read.cache,
                .ring = read.ring};
  }
  auto* const middle = reads.begin() + count / 2;
  std::nth_element(reads.begin(), middle, reads.begin() + count,
                   [](const PageLevels& a, const PageLevels& b) { return a.held < b.held; });
  return *middle;
}

}  // namespace rxpool
