#pragma once
// The benchmark loops with which page_pool and page allocator are measured on their own (figures PB-1, PB-3, PB-4), run
// on the models and priced by a calibration: one CPU takes pages and gives them back, nobody else is there, and the
// per-CPU list or the cache is warm. Leaves out the loop's own cost (0.3 ns per round, PB-2).

#include <cstdint>

#include "models/calibration/calibration.hpp"

namespace rxpool {

/// Price per page of allocating `bulk` order-0 pages in one call and freeing them one by one. 1 … 128.
double page_bulk_loop_ns(const Calibration& calibration, std::uint32_t bulk);

enum class PoolLoop {
  fast_path,  ///< returned from the owning NAPI: to the cache
  ptr_ring,   ///< returned from elsewhere: to the ring
  slow,       ///< somebody else holds a reference: back to the page allocator
};
/// Price of one page out of a page_pool and back.
double page_pool_loop_ns(const Calibration& calibration, PoolLoop loop);

}  // namespace rxpool
