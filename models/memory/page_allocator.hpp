#pragma once
// The host's page allocator: nodes, zones, zonelists, single and bulk allocation with the kernel's watermark rules, the
// slow path with reserves, kswapd, direct reclaim and OOM. Compaction, cpusets, memory cgroups (except that accounted
// requests avoid the bulk path) and zone_reclaim_mode are left out. Rules: PA-1..53; mm/page_alloc.c.
//
// How a driver model uses it (usually through PagePool, directly for `dev_alloc_pages` style drivers):
//   MemoryContext ctx{.cpu = 2, .node = 0, .in_softirq = true, .now = now};
//   PageId page = allocator.alloc_pages(ctx, gfp::atomic | gfp::nowarn, 0);   // no_page: failed, count it yourself
//   allocator.page(page).place = PagePlace::posted;                          // the holder names the place
//   allocator.put_page(ctx, page);                                            // drops a reference; the last one frees
//   core.charge(ctx.cost);
// Every call may read or change zone state shared by all CPUs, so a core that runs ahead synchronises before it calls;
// only put_page can be asked beforehand: put_may_touch_zone().

#include <cstdint>
#include <memory>
#include <vector>

#include "models/memory/context.hpp"
#include "models/memory/gfp.hpp"
#include "models/memory/kernel_release.hpp"
#include "models/memory/kswapd.hpp"
#include "models/memory/page.hpp"
#include "models/memory/reclaim.hpp"
#include "models/memory/zone.hpp"

namespace rxpool {

inline constexpr int numa_no_node = -1;

struct ZoneSize {
  ZoneKind kind = ZoneKind::normal;
  std::uint64_t bytes = 0;  ///< rounded down to 4 MiB
};

struct NodeParameters {
  std::vector<ZoneSize> zones;
};

struct MemoryParameters {
  std::vector<NodeParameters> nodes;   ///< 1..64; the distance of a and b is |a - b|
  std::vector<std::uint8_t> cpu_node;  ///< memory node of each CPU
  KernelRelease release;
  std::uint64_t min_free_kbytes = 0;     ///< 0: PA-40
  unsigned watermark_scale_factor = 10;  ///< of 10000, 1..3000
  unsigned watermark_boost_factor = 15000;
  unsigned percpu_pagelist_high_fraction = 0;  ///< 0 or at least 8 (PA-3)
  std::array<unsigned, zone_kind_count> lowmem_reserve_ratio = {256, 256, 32, 0};
  bool page_owner = false;            ///< debugging aid of the kernel that disables the bulk path (PA-31)
  std::uint32_t provider_chunks = 0;  ///< records for memory that no zone owns (MemoryProvider)
  KswapdParameters kswapd;

  /// Throws InputError naming the field, the value and the range.
  void validate() const;
  /// One node with one NORMAL zone.
  static MemoryParameters single_node(std::uint64_t bytes, unsigned cpus);
};

/// Counters without a zone; names as in /proc/vmstat.
struct VmStats {
  std::uint64_t allocstall_normal = 0;  ///< direct reclaims
  std::uint64_t pgscan_direct = 0;
  std::uint64_t pgsteal_direct = 0;
  std::uint64_t oom_kill = 0;
  std::uint64_t warn_alloc = 0;   ///< failures that the kernel would have logged (no __GFP_NOWARN)
  std::uint64_t alloc_fail = 0;   ///< all failed requests (not a kernel counter)
  std::uint64_t bulk_calls = 0;   ///< alloc_pages_bulk calls (not a kernel counter)
  std::uint64_t bulk_single = 0;  ///< of these, fell back to one page (PA-31)
};

/// Told when kswapd has something to do, so that its owner can schedule a step.
class KswapdListener {
 public:
  virtual ~KswapdListener() = default;
  virtual void kswapd_woken(unsigned node, Time first_step) = 0;
};

class PageAllocator {
 public:
  PageAllocator(const MemoryParameters& parameters, const MemoryPrices& prices);
  ~PageAllocator();
  PageAllocator(const PageAllocator&) = delete;
  PageAllocator& operator=(const PageAllocator&) = delete;

  /// 2^order pages as one block, refcount 1, place `other`. nid: preferred node, numa_no_node for the caller's.
  PageId alloc_pages(MemoryContext& ctx, Gfp flags, unsigned order, int nid = numa_no_node);
  /// Up to `count` single pages into `out` (PA-30..35); returns how many.
  std::uint32_t alloc_pages_bulk(MemoryContext& ctx, Gfp flags, int nid, PageId* out, std::uint32_t count);

  void get_page(PageId page) { ++pages_[page].refcount; }
  /// Drops one reference; the last one frees the block to the calling CPU's list (PA-24).
  void put_page(MemoryContext& ctx, PageId page);
  /// May put_page of this page, by this CPU, take a zone lock?
  bool put_may_touch_zone(std::uint16_t cpu, PageId page) const;

  Page& page(PageId id) { return pages_[id]; }
  const Page& page(PageId id) const { return pages_[id]; }
  PageTable& pages() { return pages_; }

  std::vector<Zone>& zones() { return zones_; }
  const std::vector<Zone>& zones() const { return zones_; }
  unsigned node_count() const { return node_count_; }
  Kswapd& kswapd(unsigned node) { return *kswapds_[node]; }
  void set_kswapd_listener(KswapdListener* listener) { listener_ = listener; }

  /// PA-26: to be called for each CPU every vm.stat_interval (1 s), staggered as the owner likes.
  void vmstat_tick(MemoryContext& ctx);
  /// drain_all_pages: every CPU's lists to the buddy lists.
  void drain_all_pages(MemoryContext& ctx);

  /// Takes never-touched 4 MiB blocks from the zones of a node, highest zone first, without a record per page: memory
  /// that is in use before time starts. Call until it returns an empty range.
  Buddy::Range take_untouched(unsigned node, std::uint64_t blocks);
  /// Makes one page of such a range an ordinary allocated page (refcount 1, place `other`, movable).
  void materialize(PageId page, unsigned node);
  /// Gives a whole untouched-range block back.
  void give_block(MemoryContext& ctx, PageId page, unsigned node);
  /// First of the `provider_chunks` page ids that belong to no zone.
  PageId provider_first() const { return provider_first_; }

  /// Consumers that reclaim and OOM may ask; asked in the order of registration. Not owned.
  void add_reclaim_source(ReclaimSource* source) { sources_.push_back(source); }

  // Places of the page ledger.
  std::uint64_t total_pages() const { return total_pages_; }
  std::uint64_t nr_free_pages() const;
  std::uint64_t nr_pcp_pages() const;

  std::uint64_t min_free_kbytes() const { return min_free_kbytes_; }
  const MemoryPrices& prices() const { return prices_; }
  const MemoryParameters& parameters() const { return parameters_; }
  VmStats stats;

  /// Walks all lists; throws BugError on a wrong count, link or tag. For tests; slow.
  void verify() const;

  // For kswapd and the slow path.
  std::uint32_t reclaim_pages(MemoryContext& ctx, unsigned node, std::uint32_t pages);

 private:
  struct Request {
    Gfp flags = 0;
    unsigned order = 0;
    unsigned nid = 0;
    ZoneKind highest = ZoneKind::normal;
    MigrateType type = MigrateType::unmovable;
  };

  void build_zones();
  void build_zonelists();
  void set_watermarks();
  void set_pcp_limits();
  Request make_request(const MemoryContext& ctx, Gfp flags, unsigned order, int nid) const;
  Zone* preferred_zone(const Request& request);
  PageId get_page_from_freelist(MemoryContext& ctx, const Request& request, AllocFlags flags);
  PageId rmqueue(MemoryContext& ctx, Zone& zone, const Request& request, AllocFlags flags);
  PageId alloc_slowpath(MemoryContext& ctx, const Request& request);
  PageId alloc_blocking(MemoryContext& ctx, const Request& request, AllocFlags flags);
  std::uint64_t direct_reclaim(MemoryContext& ctx, const Request& request);
  PageId alloc_may_oom(MemoryContext& ctx, const Request& request, bool& killed);
  void wake_all_kswapds(Time now, const Request& request);
  void wake_kswapd(Time now, Zone& zone, unsigned order, ZoneKind highest);
  void prepare_new_page(PageId page, const Request& request, bool pfmemalloc);
  void count_allocation(const MemoryContext& ctx, const Request& request, Zone& zone, std::uint64_t pages);
  void free_block(MemoryContext& ctx, PageId page);
  Zone& zone_of(PageId page, unsigned node);

  MemoryParameters parameters_;
  MemoryPrices prices_;
  PageTable pages_;
  std::vector<Zone> zones_;
  std::vector<std::vector<std::uint8_t>> zonelists_;  ///< per node: zone indices in the order of preference
  std::vector<std::unique_ptr<Kswapd>> kswapds_;
  std::vector<ReclaimSource*> sources_;
  KswapdListener* listener_ = nullptr;
  unsigned node_count_;
  std::uint64_t total_pages_ = 0;
  std::uint64_t min_free_kbytes_ = 0;
  PageId provider_first_ = no_page;
};

}  // namespace rxpool
