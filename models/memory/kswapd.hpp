#pragma once
// kswapd of one node as explicit steps: woken by an allocation that missed the low watermark, runs after a wake-up
// latency, reclaims SWAP_CLUSTER_MAX pages per step at a given rate until the node is balanced, naps 100 ms, sleeps.
// The owner of the CPUs schedules it: it runs step() at next_step() and charges the step's cost to a core. Scanning
// effort and priorities are left out: every page scanned is freed. Rules: PA-42, PA-51; mm/vmscan.c: wakeup_kswapd,
// balance_pgdat, pgdat_balanced, kswapd_try_to_sleep.

#include <cstdint>
#include <vector>

#include "models/memory/context.hpp"
#include "models/memory/zone.hpp"

namespace rxpool {

class PageAllocator;

struct KswapdParameters {
  Time wake_latency = microseconds(50);  ///< from the wake-up to the first reclaim
  Time time_per_page = microseconds(5);  ///< reclaim rate; Time::never() reclaims nothing
};

/// Names as in /proc/vmstat and the vmscan tracepoints.
struct KswapdStats {
  std::uint64_t pgscan_kswapd = 0;
  std::uint64_t pgsteal_kswapd = 0;
  std::uint64_t pageoutrun = 0;
  std::uint64_t kswapd_low_wmark_hit_quickly = 0;
  std::uint64_t kswapd_high_wmark_hit_quickly = 0;
  std::uint64_t mm_vmscan_wakeup_kswapd = 0;
  std::uint64_t mm_vmscan_kswapd_wake = 0;
  std::uint64_t mm_vmscan_kswapd_sleep = 0;
};

class Kswapd {
 public:
  Kswapd(PageAllocator& allocator, unsigned node, const KswapdParameters& parameters)
      : allocator_(allocator), node_(node), parameters_(parameters) {}

  /// wakeup_kswapd: does nothing when the node is balanced or hopeless (16 fruitless runs).
  void wake(Time now, unsigned order, ZoneKind highest);
  /// When step() is due; Time::never() while asleep.
  Time next_step() const { return next_step_; }
  /// One batch of at most 32 pages at ctx.now, which is at or after next_step(). Sets the next due time.
  void step(MemoryContext& ctx);

  bool balanced() const;
  bool asleep() const { return state_ == State::asleep; }
  bool hopeless() const { return failures_ >= max_failures; }
  /// Somebody else made progress: the node is worth another try.
  void note_progress() { failures_ = 0; }
  unsigned node() const { return node_; }
  KswapdStats stats;

 private:
  enum class State : std::uint8_t { asleep, waking, reclaiming, napping };
  static constexpr unsigned max_failures = 16;

  void start_run();
  void nap(Time now);
  std::uint64_t boosted_pages() const;

  PageAllocator& allocator_;
  unsigned node_;
  KswapdParameters parameters_;
  State state_ = State::asleep;
  Time next_step_ = Time::never();
  unsigned order_ = 0;
  ZoneKind highest_ = ZoneKind::dma;
  unsigned failures_ = 0;
  std::uint64_t run_reclaimed_ = 0;
  std::uint64_t boost_to_reclaim_ = 0;  ///< still owed for the boost seen at the start of the run
  std::array<std::uint64_t, zone_kind_count> run_boost_{};
};

}  // namespace rxpool
