#pragma once
// How often a replayed log reached each page_pool rule, judged by what a call did to the kernel's own counters.

#include <cstdint>
#include <map>
#include <string>

#include "kernel/guest/pool_log.h"
#include "models/memory/page_pool.hpp"

namespace rxpool::guest {

class RuleCounts {
 public:
  void created(const PoolLogOp& op);
  /// A call that took the pool from `before` to `after`.
  void called(const PoolLogOp& op, const PoolLogCounts& before, const PoolLogCounts& after, const PagePool& pool);
  void bulk(const PoolLogBulk& bulk);
  void count(const std::string& rule, std::uint64_t times = 1) { counts_[rule] += times; }
  /// Rule with a short description, and how often; rules never reached are there with 0.
  std::map<std::string, std::uint64_t> table() const;

 private:
  std::map<std::string, std::uint64_t> counts_;
};

}  // namespace rxpool::guest
