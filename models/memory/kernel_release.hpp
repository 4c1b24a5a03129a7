#pragma once
// The kernel release whose memory rules are simulated; rules that changed between releases ask it by version.

#include <compare>

namespace rxpool {

struct KernelRelease {
  int major = 6;
  int minor = 18;

  constexpr auto operator<=>(const KernelRelease&) const = default;

  /// pcp->high moves between high_min and high_max, batches grow on allocation (6.7 and later; PA-2, PA-13, PA-21).
  constexpr bool pcp_auto_tuning() const { return *this >= KernelRelease{6, 7}; }
  /// A flush of a per-CPU list is cut into chunks of `batch`, each with its own zone lock hold (PA-22).
  constexpr bool pcp_free_in_chunks() const { return *this >= KernelRelease{6, 19}; }
  /// page_pool clamps the ring to 16384 instead of refusing more than 32768 (PP-1).
  constexpr bool pool_ring_clamped() const { return *this >= KernelRelease{6, 18}; }
  /// Pools unmap pages that are still out when they are destroyed (PP-15, PP-52).
  constexpr bool pool_tracks_dma() const { return *this >= KernelRelease{6, 16}; }
};

}  // namespace rxpool
