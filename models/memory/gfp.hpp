#pragma once
// Request flags of the page allocator (kernel names without the underscores) and the allocation flags derived from
// them. Only the bits that change a decision of the model exist. Rules: PA-44, PA-46, PA-50; include/linux/gfp_types.h,
// mm/internal.h.

#include <cstdint>

namespace rxpool {

using Gfp = std::uint32_t;

namespace gfp {
inline constexpr Gfp dma = 1U << 0;
inline constexpr Gfp dma32 = 1U << 1;
inline constexpr Gfp movable = 1U << 2;         ///< __GFP_MOVABLE (with highmem: may use ZONE_MOVABLE)
inline constexpr Gfp high = 1U << 3;            ///< __GFP_HIGH: half of the min reserve
inline constexpr Gfp kswapd_reclaim = 1U << 4;  ///< wakes kswapd
inline constexpr Gfp direct_reclaim = 1U << 5;  ///< may block and reclaim
inline constexpr Gfp fs = 1U << 6;              ///< may enter the file system, a condition of OOM
inline constexpr Gfp io = 1U << 7;
inline constexpr Gfp nowarn = 1U << 8;
inline constexpr Gfp memalloc = 1U << 9;      ///< ignores watermarks, page becomes pfmemalloc
inline constexpr Gfp nomemalloc = 1U << 10;   ///< never touches reserves
inline constexpr Gfp account = 1U << 11;      ///< charged to a memory cgroup: no bulk (PA-31)
inline constexpr Gfp noretry = 1U << 12;      ///< one round of direct reclaim, no OOM
inline constexpr Gfp reclaimable = 1U << 13;  ///< __GFP_RECLAIMABLE: slab caches with a shrinker

inline constexpr Gfp atomic = high | kswapd_reclaim;  // PA-46
inline constexpr Gfp nowait = kswapd_reclaim | nowarn;
inline constexpr Gfp kernel = kswapd_reclaim | direct_reclaim | io | fs;
inline constexpr Gfp highuser_movable = kernel | movable;  ///< page cache and user memory
inline constexpr Gfp pool_default = atomic | nowarn;       ///< page_pool_dev_alloc_pages
}  // namespace gfp

using AllocFlags = std::uint32_t;

namespace alloc_flag {
inline constexpr AllocFlags wmark_min = 0;
inline constexpr AllocFlags wmark_low = 1;
inline constexpr AllocFlags wmark_high = 2;
inline constexpr AllocFlags wmark_mask = 3;
inline constexpr AllocFlags no_watermarks = 1U << 2;
inline constexpr AllocFlags min_reserve = 1U << 3;
inline constexpr AllocFlags non_block = 1U << 4;
inline constexpr AllocFlags oom = 1U << 5;
inline constexpr AllocFlags highatomic = 1U << 6;
inline constexpr AllocFlags kswapd = 1U << 7;
inline constexpr AllocFlags reserves = min_reserve | non_block | oom | highatomic;
}  // namespace alloc_flag

}  // namespace rxpool
