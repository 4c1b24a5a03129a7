#pragma once
// One per-CPU page list of one zone (struct per_cpu_pages): twelve lists (orders 0..3, three migrate types) under one
// count, with the automatic tuning of batch and high. Decides how many pages to move and when; the zone moves them.
// The trylock of the kernel never fails here, because an allocator call is atomic in simulated time. THP lists are left
// out. Rules: PA-1..4, PA-11, PA-13, PA-14, PA-20..22, PA-26; mm/page_alloc.c: nr_pcp_alloc, nr_pcp_high, nr_pcp_free.

#include <array>
#include <cstdint>

#include "models/memory/buddy.hpp"
#include "models/memory/kernel_release.hpp"
#include "models/memory/page.hpp"

namespace rxpool {

inline constexpr unsigned pcp_order_count = 4;  ///< orders 0..PAGE_ALLOC_COSTLY_ORDER
inline constexpr unsigned pcp_list_count = pcp_order_count * migrate_pcp_types;
inline constexpr int pcp_batch_scale_max = 5;  ///< CONFIG_PCP_BATCH_SCALE_MAX

constexpr unsigned pcp_list_index(unsigned order, MigrateType type) {
  return order * migrate_pcp_types + static_cast<unsigned>(type);
}

/// State of the zone that nr_pcp_alloc and nr_pcp_high look at.
struct PcpZoneState {
  bool below_high = false;      ///< ZONE_BELOW_HIGH
  bool reclaim_active = false;  ///< ZONE_RECLAIM_ACTIVE
};

struct PcpLimits {
  int batch = 1;  // PA-4: the boot pageset
  int high_min = 0;
  int high_max = 0;
};

/// What a list has learnt from its use.
struct PcpTuning {
  int high = 0;
  int alloc_factor = 0;
  int free_count = 0;
  bool prev_free_high_order = false;
};

/// PA-1, mm/page_alloc.c:zone_batchsize.
int zone_batchsize(std::uint64_t managed_pages);
/// PA-2, PA-3, mm/page_alloc.c:zone_highsize. high_fraction 0 takes the low watermark.
int zone_highsize(std::uint64_t managed_pages, std::uint64_t low_wmark, int batch, unsigned local_cpus,
                  unsigned high_fraction);

class PerCpuPages {
 public:
  explicit PerCpuPages(KernelRelease release) : release_(release) {}

  void set_limits(const PcpLimits& limits);
  /// Goes on from what a list of a real kernel had learnt.
  void resume(const PcpTuning& tuning) {
    high_ = tuning.high;
    alloc_factor_ = tuning.alloc_factor;
    free_count_ = tuning.free_count;
    prev_free_high_order_ = tuning.prev_free_high_order;
  }

  /// Pops the hottest page of a list, or no_page.
  PageId pop(PageTable& pages, unsigned list) {
    List& lst = lists_[list];
    const PageId page = lst.head;
    if (page == no_page) [[unlikely]] {
      return no_page;
    }
    const PageId next = pages[page].next;
    lst.head = next;
    if (next != no_page) {
      pages[next].prev = no_page;
    } else {
      lst.tail = no_page;
    }
    count_ -= 1 << (list / migrate_pcp_types);
    return page;
  }
  void push_head(PageTable& pages, unsigned list, PageId page);
  void push_tail(PageTable& pages, unsigned list, PageId page);
  /// Removes the coldest page of a list that is not empty.
  PageId pop_tail(PageTable& pages, unsigned list);
  bool list_empty(unsigned list) const { return lists_[list].head == no_page; }

  /// PA-11: every allocation from the list halves the run of frees seen so far.
  void note_alloc() {
    free_count_ >>= 1;
    free_factor_ >>= 1;
  }
  /// PA-13: pages to take from the buddy lists for a list that ran empty.
  int nr_alloc(unsigned order, const PcpZoneState& zone);
  /// PA-14, PA-20: bookkeeping of one free of 2^order pages. Returns how many pages to flush now (PA-21, PA-22), or 0.
  int note_free(unsigned order, const PcpZoneState& zone);

  /// PA-26: lowers high; returns how many pages exceed it.
  int decay_high();

  int count() const { return count_; }
  int high() const { return high_; }
  int batch() const { return limits_.batch; }
  int high_min() const { return limits_.high_min; }
  int high_max() const { return limits_.high_max; }
  int alloc_factor() const { return alloc_factor_; }
  int free_count() const { return free_count_; }

  /// True when the next free of one page would flush (a core that runs ahead asks first).
  bool next_free_flushes(const PcpZoneState& zone) const;
  /// Walks the lists, throws BugError on a wrong link, tag or count; returns the pages held. For tests; slow.
  std::uint64_t verify(const PageTable& pages) const;

  // Zone's bookkeeping of the remote-node drain (PA-26) and of statistics.
  bool touched = false;  ///< used since the last vmstat tick
  int expire = 0;        ///< ticks left until a remote list is drained

 private:
  struct List {
    PageId head = no_page;
    PageId tail = no_page;
  };

  int nr_high(int batch, bool free_high, const PcpZoneState& zone);
  int nr_free(int batch, int high, bool free_high);
  int nr_alloc_fixed(unsigned order);

  std::array<List, pcp_list_count> lists_{};
  PcpLimits limits_;
  int count_ = 0;
  int high_ = 0;
  int alloc_factor_ = 0;
  int free_count_ = 0;
  int free_factor_ = 0;                ///< 6.6 and older
  bool prev_free_high_order_ = false;  ///< PCPF_PREV_FREE_HIGH_ORDER
  KernelRelease release_;
};

}  // namespace rxpool
