#pragma once
// Replays a page_pool log of the guest (pool_log.h) through models/memory and compares after every call: hold, release,
// cache, ring, whether the ring looks full, the eleven statistics, and which page was handed out or released. What the
// kernel decides is never taken from the log; only what it was given is: arguments, the page's reference counts, the
// context (CPU, bottom halves, NAPI owner), how many pages memory had for a bulk, and when. Calls that overlapped
// another one of the same pool (an interrupt, the other CPU) are settled at the first instant at which the counts
// agree; at the latest when the pool is quiet again. Left out: pools in use before the log began, pools of which an
// allocation or a scrub overlapped another CPU's call, because the log cannot say which came first, returns that
// interrupt the scrub of a full ring (they may find room that it has made), and what the page allocator does (PA
// rules). Rules: PP-1..55.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel/guest/pool_log.h"
#include "kernel/guest/rule_counts.hpp"
#include "models/memory/page_pools.hpp"

namespace rxpool::guest {

struct LockstepReport {
  std::uint64_t operations = 0;  ///< calls replayed
  std::uint64_t exact = 0;       ///< compared right after the call
  std::uint64_t settled = 0;     ///< overlapped another call, compared when the pool was quiet again
  std::uint64_t beside = 0;      ///< of all, let in beside another CPU's call
  std::uint64_t set_aside = 0;   ///< calls on pools of which two calls' order is not known
  std::uint64_t foreign = 0;     ///< calls on pools made before the log
  std::uint64_t pools = 0;
  std::uint64_t pages_bound = 0;  ///< kernel pages followed by name
  std::uint64_t differences = 0;
  std::vector<std::string> first_differences;  ///< at most 20
  RuleCounts rules;
};

/// The model's counters in the log's terms.
PoolLogCounts counts_of(const PagePool& pool);

class Lockstep {
 public:
  /// `cpus` CPUs, each on the memory node of the same number.
  Lockstep(KernelRelease release, std::uint16_t cpus);
  /// The whole log, in any order. Throws InputError when it is not one.
  LockstepReport replay(std::span<const std::uint8_t> log);

 private:
  struct Pool {
    PagePool* model = nullptr;
    std::int32_t list_owner = -1;
    std::vector<const PoolLogOp*> open;  ///< entered, effect not yet applied
    std::uint32_t inside = 0;            ///< entered, not yet returned
    std::uint32_t unsettled = 0;         ///< returned, not yet compared
  };
  struct Event {
    std::uint64_t seq = 0;
    const PoolLogHeader* header = nullptr;
    bool enter = false;
  };

  std::vector<Event> read(std::span<const std::uint8_t> log) const;
  void find_unordered(const std::vector<Event>& events);
  void find_scrub_ends(const std::vector<Event>& events);
  void find_short_bulks(const std::vector<Event>& events);
  void limit_as_memory_did(Pool& pool, const PoolLogOp& op);
  void finish_scrub(const Event& event);
  void enter(const PoolLogOp& op);
  void leave(const PoolLogOp& op);
  void create(const PoolLogOp& op);
  void apply_interrupted(Pool& pool, const PoolLogOp& op);
  void apply(Pool& pool, const PoolLogOp& op);
  void put_bulk(const PoolLogBulk& bulk, MemoryContext& ctx);
  void put(Pool& pool, const PoolLogOp& op, MemoryContext& ctx);
  void alloc_frag(Pool& pool, const PoolLogOp& op, MemoryContext& ctx);
  void scrub(Pool& pool, const PoolLogOp& op, MemoryContext& ctx);
  void check_handed_out(const PoolLogOp& op, PageId page);
  void check_released(Pool& pool, const PoolLogOp& op);
  void forget(std::uint32_t kernel_page);
  void forget_name(std::uint32_t kernel_page);
  PoolLogCounts counts_as_kernel(const PagePool& pool) const;
  /// Empty when model and kernel agree.
  std::string compare(const PoolLogOp& op, const PoolLogCounts& model) const;
  PageId model_page(const PoolLogOp& op, std::uint32_t kernel_page);
  void set_references(PageId page, std::uint32_t refcount, std::uint32_t flags, std::int64_t pp_ref_count);
  void differ(const PoolLogOp& op, const std::string& what);

  PageAllocator allocator_;
  PagePools pools_;
  std::map<std::uint32_t, std::unique_ptr<Pool>> known_;  ///< by the kernel's pool id
  std::set<std::uint32_t> unordered_;                     ///< pools that are set aside
  std::unordered_map<std::uint32_t, PageId> to_model_;    ///< by the kernel's page; looked up only
  std::unordered_map<PageId, std::uint32_t> to_kernel_;
  std::unordered_map<std::uint32_t, std::uint32_t> node_of_;        ///< of kernel pages in pools
  std::vector<const PoolLogHold*> released_;                        ///< by the kernel, not yet seen in the model
  std::unordered_map<const PoolLogOp*, std::uint64_t> scrub_ends_;  ///< number of the last release; looked up only
  std::unordered_map<const PoolLogOp*, PoolLogCounts> early_;  ///< counts after an effect before another's; likewise
  std::unordered_map<const PoolLogOp*, std::uint32_t> bulks_;  ///< pages that entered during the call; likewise
  LockstepReport report_;
};

}  // namespace rxpool::guest
