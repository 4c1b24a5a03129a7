#pragma once
// A zone: buddy lists under one lock, watermarks and reserves, and one per-CPU page list per CPU. The number of free
// pages is exact (the kernel's per-CPU counter drift is left out). Rules: PA-10..15, PA-20..26 (moving pages between
// the per-CPU lists and the buddy lists), PA-40..47; mm/page_alloc.c: rmqueue, free_frozen_page_commit,
// free_pcppages_bulk,
// __zone_watermark_ok, __setup_per_zone_wmarks, reserve_highatomic_pageblock.

#include <array>
#include <cstdint>
#include <vector>

#include "models/memory/buddy.hpp"
#include "models/memory/context.hpp"
#include "models/memory/gfp.hpp"
#include "models/memory/pcp.hpp"

namespace rxpool {

enum class ZoneKind : std::uint8_t { dma, dma32, normal, movable };
inline constexpr unsigned zone_kind_count = 4;
const char* to_string(ZoneKind kind);

enum class Watermark : std::uint8_t { min, low, high, promo };

/// Counters of one zone; names as in /proc/vmstat and the kmem tracepoints.
struct ZoneStats {
  std::uint64_t pgalloc = 0;  ///< pgalloc_<zone>
  std::uint64_t pgfree = 0;
  std::uint64_t numa_hit = 0;
  std::uint64_t numa_miss = 0;
  std::uint64_t numa_foreign = 0;
  std::uint64_t numa_local = 0;
  std::uint64_t numa_other = 0;
  std::uint64_t mm_page_pcpu_drain = 0;         ///< tracepoint, per page drained by a bulk free
  std::uint64_t mm_page_alloc_zone_locked = 0;  ///< tracepoint, per page taken under the lock
  std::uint64_t zone_lock_holds = 0;            ///< times zone->lock was taken
  std::uint64_t zone_lock_transfers = 0;        ///< of these, from another CPU than the last
};

struct ZoneParameters {
  ZoneKind kind = ZoneKind::normal;
  std::uint8_t node = 0;
  std::uint8_t index = 0;  ///< in PageAllocator::zones()
  PageId first_page = no_page;
  std::uint64_t present_pages = 0;  ///< multiple of 1024
  unsigned cpus = 1;                ///< CPUs of the host
  unsigned local_cpus = 1;          ///< CPUs of this node
  KernelRelease release;
};

class Zone {
 public:
  Zone(PageTable& pages, const MemoryPrices& prices, const ZoneParameters& parameters);

  // --- order <= 3 through the per-CPU list ---
  /// PA-11, PA-12: one block for the calling CPU; no_page when list and buddy lists have none.
  PageId rmqueue_pcplist(MemoryContext& ctx, unsigned order, MigrateType type);
  /// The same without PA-11's halving: alloc_pages_bulk pops page after page (PA-33).
  PageId rmqueue_pcplist_bulk(MemoryContext& ctx, unsigned order, MigrateType type);
  /// Straight from the buddy lists, highatomic reserve included (PA-45).
  PageId rmqueue_buddy(MemoryContext& ctx, unsigned order, MigrateType type, AllocFlags flags);
  /// PA-20..25: to the calling CPU's list, and a flush to the buddy lists when it is over its threshold.
  void free_to_pcp(MemoryContext& ctx, PageId page, unsigned order);
  /// Orders over 3.
  void free_to_buddy(MemoryContext& ctx, PageId page, unsigned order);
  /// True when the next order-0 free on this CPU may take the zone lock, or depends on what others do to the zone.
  bool next_free_may_flush(std::uint16_t cpu) const;
  /// Pages this CPU can still take without the zone lock.
  bool pcp_has(std::uint16_t cpu, unsigned order, MigrateType type) const {
    return !pcp_[cpu].list_empty(pcp_list_index(order, type));
  }

  // --- watermarks ---
  /// PA-43, PA-44, zone_watermark_fast: may 2^order pages be taken while `mark` stays free?
  bool watermark_ok(unsigned order, std::uint64_t mark, ZoneKind highest, AllocFlags flags) const;
  bool watermark_fast(unsigned order, std::uint64_t mark, ZoneKind highest, AllocFlags flags) const;
  /// Boost included, as wmark_pages (PA-42).
  std::uint64_t wmark_pages(Watermark mark) const { return watermark_[static_cast<unsigned>(mark)] + boost_; }
  std::uint64_t wmark_unboosted(Watermark mark) const { return watermark_[static_cast<unsigned>(mark)]; }
  void set_watermarks(std::uint64_t min, std::uint64_t gap);
  void set_lowmem_reserve(ZoneKind classzone, std::uint64_t pages) {
    lowmem_reserve_[static_cast<unsigned>(classzone)] = pages;
  }
  std::uint64_t lowmem_reserve(ZoneKind classzone) const { return lowmem_reserve_[static_cast<unsigned>(classzone)]; }
  void set_boost_factor(unsigned factor) { boost_factor_ = factor; }
  std::uint64_t boost() const { return boost_; }
  void reduce_boost(std::uint64_t pages) { boost_ -= pages < boost_ ? pages : boost_; }

  // --- reserve of whole pageblocks for order > 0 atomics (PA-45) ---
  void reserve_highatomic(MemoryContext& ctx, PageId page);
  bool unreserve_highatomic(MemoryContext& ctx);
  std::uint64_t reserved_highatomic() const { return reserved_highatomic_; }

  // --- per-CPU lists ---
  void set_pcp_limits(const PcpLimits& limits);
  void resume_pcp(std::uint16_t cpu, const PcpTuning& tuning) { pcp_[cpu].resume(tuning); }
  /// PA-26: one CPU's share of the vmstat worker's tick.
  void vmstat_tick(MemoryContext& ctx);
  /// drain_pages_zone: everything one CPU holds goes to the buddy lists; charged to the caller.
  void drain(MemoryContext& ctx, std::uint16_t cpu);

  /// Places `zone_free` and `pcp` of the page ledger.
  std::uint64_t nr_free_pages() const { return buddy_.free_pages(); }
  std::uint64_t nr_pcp_pages() const { return pcp_pages_; }

  // --- flags ---
  bool below_high = false;         ///< ZONE_BELOW_HIGH
  bool reclaim_active = false;     ///< ZONE_RECLAIM_ACTIVE
  bool boosted_watermark = false;  ///< ZONE_BOOSTED_WATERMARK

  ZoneKind kind() const { return parameters_.kind; }
  std::uint8_t node() const { return parameters_.node; }
  std::uint64_t managed_pages() const { return parameters_.present_pages; }
  const ZoneParameters& parameters() const { return parameters_; }
  Buddy& buddy() { return buddy_; }
  const Buddy& buddy() const { return buddy_; }
  const PerCpuPages& pcp(std::uint16_t cpu) const { return pcp_[cpu]; }
  ZoneStats stats;

  /// Walks all lists; throws BugError on a wrong count or tag. For tests; slow.
  void verify() const;

 private:
  PcpZoneState pcp_state() const { return {below_high, reclaim_active}; }
  /// The flags steer every free to a per-CPU list (PA-22). Could allocations of CPUs that are still behind change them?
  bool flags_may_change() const {
    constexpr std::uint64_t ahead_pages = 8192;  // more than one CPU takes in the engine's window
    return below_high || reclaim_active || nr_free_pages() < wmark_pages(Watermark::high) + pcp_.size() * ahead_pages;
  }
  void lock(MemoryContext& ctx);
  int rmqueue_bulk(MemoryContext& ctx, unsigned order, MigrateType type, int count);
  void free_pcppages_bulk(MemoryContext& ctx, PerCpuPages& pcp, int count, unsigned first_list);
  PageId take_block(unsigned order, MigrateType type);
  void note_boost();

  PageTable& pages_;
  const MemoryPrices& prices_;
  ZoneParameters parameters_;
  Buddy buddy_;
  std::vector<PerCpuPages> pcp_;
  std::uint64_t pcp_pages_ = 0;
  std::array<std::uint64_t, 4> watermark_{};
  std::array<std::uint64_t, zone_kind_count> lowmem_reserve_{};
  std::uint64_t boost_ = 0;
  unsigned boost_factor_ = 15000;
  std::uint64_t reserved_highatomic_ = 0;
  std::vector<PageId> highatomic_blocks_;
  std::uint16_t lock_cpu_ = 0;
};

}  // namespace rxpool
