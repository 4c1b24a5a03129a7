#pragma once
// Replays a page_pool log of the guest (pool_log.h) through models/memory and compares after every call: hold, release,
// cache, ring, whether the ring looks full, the eleven statistics, and which page was handed out or released. What the
// kernel decides is never taken from the log; only what it was given is: arguments, the page's reference counts, the
// context (CPU, bottom halves, NAPI owner), how many pages memory had for a bulk, and when. Calls that overlapped
// another one of the same pool (an interrupt, the other CPU) are settled at the first instant at which the counts
// agree; at the latest when the pool is quiet again. A scrub goes page by page: its next page is taken where the counts
// of a return that interrupts it say so, else when the kernel releases it. Left out: pools in use before the log began,
// pools of which an allocation or a scrub overlapped another CPU's call, because the log cannot say which came first,
// pools that lived while a call was not seen, and what the page allocator does (PA rules). Rules: PP-1..55.

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
  std::uint64_t gaps = 0;        ///< stretches of the log in which a call was not seen
  std::uint64_t set_aside = 0;   ///< calls on pools of which a call or two calls' order is not known
  std::uint64_t foreign = 0;     ///< calls on pools made before the log
  std::uint64_t pools = 0;
  std::uint64_t pages_bound = 0;  ///< kernel pages followed by name
  std::uint64_t differences = 0;
  std::vector<std::string> first_differences;  ///< at most 20
  RuleCounts rules;
};

/// The model's counters in the log's terms.
PoolLogCounts counts_of(const PagePool& pool);
/// Pages that are back: in cache or ring, or released; up to the number that ever entered.
std::int32_t home(const PoolLogCounts& counts);
MemoryContext context_of(const PoolLogOp& op);
/// A page that enters or leaves a pool, no call.
bool is_crossing(const PoolLogHeader& header);

class Lockstep {
 public:
  /// `cpus` CPUs, each on the memory node of the same number.
  Lockstep(KernelRelease release, std::uint16_t cpus);
  /// The whole log, in any order. Throws InputError when it is not one.
  LockstepReport replay(std::span<const std::uint8_t> log);

 private:
  struct Scrub {
    const PoolLogOp* op = nullptr;
    PageId taken = no_page;      ///< off cache or ring, not yet released
    bool ahead = false;          ///< released one more page than the log has
    std::uint32_t returned = 0;  ///< pages since it released its last one: it need not have seen them
    std::int32_t left = 0;       ///< in flight when it released its last one
  };
  struct Pool {
    PagePool* model = nullptr;
    std::int32_t list_owner = -1;
    std::vector<const PoolLogOp*> open;  ///< entered, effect not yet applied
    std::uint32_t inside = 0;            ///< entered, not yet returned
    std::uint32_t unsettled = 0;         ///< returned, not yet compared
    Scrub scrub;                         ///< the one in progress
  };
  struct Event {
    std::uint64_t seq = 0;
    const PoolLogHeader* header = nullptr;
    bool enter = false;
  };

  std::vector<Event> read(std::span<const std::uint8_t> log);
  bool in_gap(std::uint64_t seq) const;
  void find_incomplete(const std::vector<Event>& events);
  void find_unordered(const std::vector<Event>& events);
  void find_short_bulks(const std::vector<Event>& events);
  void limit_as_memory_did(Pool& pool, const PoolLogOp& op);
  void enter(const PoolLogOp& op);
  void leave(const PoolLogOp& op);
  void create(const PoolLogOp& op);
  static bool may_settle_later(const Pool& pool);
  void apply_interrupted(Pool& pool, const PoolLogOp& op);
  void apply(Pool& pool, const PoolLogOp& op);
  void put_bulk(const PoolLogBulk& bulk, MemoryContext& ctx);
  void put(Pool& pool, const PoolLogOp& op, MemoryContext& ctx);
  void alloc_frag(Pool& pool, const PoolLogOp& op, MemoryContext& ctx);
  void begin_scrub(Pool& pool, const PoolLogOp& op);
  void step_scrub(const PoolLogHold& crossing);
  void follow_scrub(Pool& pool, const PoolLogOp& op);
  void release_scrubbed(Pool& pool);
  void end_scrub(Pool& pool, const PoolLogOp& op);
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
  std::vector<const PoolLogHeader*> gaps_;
  std::set<std::uint32_t> unordered_;                   ///< pools that are set aside
  std::unordered_map<std::uint32_t, PageId> to_model_;  ///< by the kernel's page; looked up only
  std::unordered_map<PageId, std::uint32_t> to_kernel_;
  std::unordered_map<std::uint32_t, std::uint32_t> node_of_;   ///< of kernel pages in pools
  std::vector<const PoolLogHold*> released_;                   ///< by the kernel, not yet seen in the model
  std::unordered_map<const PoolLogOp*, PoolLogCounts> early_;  ///< counts after an effect before another's; looked up
  std::unordered_map<const PoolLogOp*, std::uint32_t> bulks_;  ///< pages that entered during the call; likewise
  std::map<std::uint8_t, std::vector<const PoolLogOp*>> on_cpu_;  ///< open calls of each CPU, the interrupting last
  LockstepReport report_;
};

}  // namespace rxpool::guest
