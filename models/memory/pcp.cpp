#include "models/memory/pcp.hpp"

#include <algorithm>
#include <bit>

#include "sim/error.hpp"

namespace rxpool {

int zone_batchsize(std::uint64_t managed_pages) {
  constexpr std::uint64_t cap = (256 * 1024) / page_bytes;
  const std::uint64_t base = std::max<std::uint64_t>(1, std::min(managed_pages >> 12, cap));
  return static_cast<int>(std::bit_floor(base + base / 2)) - 1;
}

int zone_highsize(std::uint64_t managed_pages, std::uint64_t low_wmark, int batch, unsigned local_cpus,
                  unsigned high_fraction) {
  const std::uint64_t total = high_fraction == 0 ? low_wmark : managed_pages / high_fraction;
  return std::max(static_cast<int>(total / std::max(1U, local_cpus)), batch * 4);
}

void PerCpuPages::set_limits(const PcpLimits& limits) {
  limits_ = limits;
  limits_.batch = std::max(1, limits.batch);
  if (release_.pcp_auto_tuning()) {
    high_ = std::clamp(high_, limits_.high_min, limits_.high_max);
  } else {
    high_ = limits_.high_min;
  }
}

void PerCpuPages::push_head(PageTable& pages, unsigned list, PageId page) {
  List& lst = lists_[list];
  Page& record = pages[page];
  record.prev = no_page;
  record.next = lst.head;
  if (lst.head != no_page) {
    pages[lst.head].prev = page;
  } else {
    lst.tail = page;
  }
  lst.head = page;
  count_ += 1 << (list / migrate_pcp_types);
}

void PerCpuPages::push_tail(PageTable& pages, unsigned list, PageId page) {
  List& lst = lists_[list];
  Page& record = pages[page];
  record.next = no_page;
  record.prev = lst.tail;
  if (lst.tail != no_page) {
    pages[lst.tail].next = page;
  } else {
    lst.head = page;
  }
  lst.tail = page;
  count_ += 1 << (list / migrate_pcp_types);
}

PageId PerCpuPages::pop_tail(PageTable& pages, unsigned list) {
  List& lst = lists_[list];
  const PageId page = lst.tail;
  const PageId previous = pages[page].prev;
  lst.tail = previous;
  if (previous != no_page) {
    pages[previous].next = no_page;
  } else {
    lst.head = no_page;
  }
  count_ -= 1 << (list / migrate_pcp_types);
  return page;
}

// Releases before auto-tuning: a fixed batch.
int PerCpuPages::nr_alloc_fixed(unsigned order) {
  return limits_.batch > 1 && order > 0 ? std::max(limits_.batch >> order, 2) : limits_.batch;
}

int PerCpuPages::nr_alloc(unsigned order, const PcpZoneState& zone) {
  if (!release_.pcp_auto_tuning()) {
    return nr_alloc_fixed(order);
  }
  const int base = limits_.batch;
  high_ = std::clamp(high_, limits_.high_min, limits_.high_max);
  if (high_ < base) {
    return 1;
  }
  int batch = order == 0 ? base << alloc_factor_ : base;
  if (limits_.high_min != limits_.high_max && !zone.below_high) {
    high_ = std::min(high_ + batch, limits_.high_max);
  }
  if (order == 0) {
    const int max_nr = std::max(high_ - count_ - base, base);
    if (batch <= max_nr && alloc_factor_ < pcp_batch_scale_max) {
      ++alloc_factor_;
    }
    batch = std::min(batch, max_nr);
  }
  if (batch > 1) {
    batch = std::max(batch >> order, 2);
  }
  return batch;
}

int PerCpuPages::note_free(unsigned order, const PcpZoneState& zone) {
  const int batch = limits_.batch;
  bool free_high = false;
  if (release_.pcp_auto_tuning()) {
    alloc_factor_ >>= 1;
    if (order > 0) {
      free_high = free_count_ >= batch + limits_.high_min / 2 && prev_free_high_order_ && count_ >= batch;
    }
    if (free_count_ < batch << pcp_batch_scale_max) {
      free_count_ += 1 << order;
    }
  } else {
    free_high = order > 0 && free_factor_ > 0;
  }
  prev_free_high_order_ = order > 0;
  const int threshold = nr_high(batch, free_high, zone);
  return count_ >= threshold ? std::min(count_, nr_free(batch, threshold, free_high)) : 0;
}

int PerCpuPages::nr_high(int batch, bool free_high, const PcpZoneState& zone) {
  if (!release_.pcp_auto_tuning()) {
    if (high_ == 0 || free_high) {
      return 0;
    }
    return zone.reclaim_active ? std::min(batch * 4, high_) : high_;
  }
  high_ = std::clamp(high_, limits_.high_min, limits_.high_max);
  const int high = high_;
  if (high == 0) {
    return 0;
  }
  if (free_high) {
    high_ = std::max(high - (batch << pcp_batch_scale_max), limits_.high_min);
    return 0;
  }
  if (zone.reclaim_active) {
    high_ = std::max(high - std::max(free_count_, batch), limits_.high_min);
    return std::min(batch * 4, high_);
  }
  if (limits_.high_min == limits_.high_max) {
    return high;
  }
  if (zone.below_high) {
    high_ = std::max(high - std::max(free_count_, batch), limits_.high_min);
    return std::max(count_, limits_.high_min);
  }
  if (count_ >= high) {
    const int need = free_count_ + batch;
    if (high_ < need) {
      high_ = std::clamp(need, limits_.high_min, limits_.high_max);
    }
  }
  return high;
}

int PerCpuPages::nr_free(int batch, int high, bool free_high) {
  if (free_high) {
    return release_.pcp_auto_tuning() ? std::min(count_, batch << pcp_batch_scale_max) : count_;
  }
  if (high < batch) {
    return 1;
  }
  const int min_nr = batch;
  const int max_nr = high - batch;
  if (!release_.pcp_auto_tuning()) {
    const int scaled = batch << free_factor_;
    if (scaled <= max_nr && free_factor_ < pcp_batch_scale_max) {
      ++free_factor_;
    }
    return std::max(std::min(scaled, max_nr), min_nr);
  }
  return std::max(std::min(free_count_, max_nr), min_nr);
}

bool PerCpuPages::next_free_flushes(const PcpZoneState& zone) const {
  PerCpuPages trial = *this;
  ++trial.count_;
  return trial.note_free(0, zone) != 0;
}

std::uint64_t PerCpuPages::verify(const PageTable& pages) const {
  std::uint64_t total = 0;
  for (unsigned list = 0; list < pcp_list_count; ++list) {
    PageId previous = no_page;
    for (PageId page = lists_[list].head; page != no_page; page = pages[page].next) {
      const Page& record = pages[page];
      ensure(record.place == PagePlace::pcp && record.prev == previous &&
                 record.migrate_type == list % migrate_pcp_types && record.order == list / migrate_pcp_types,
             "per-CPU list: a page is tagged or linked wrongly");
      previous = page;
      total += 1ULL << record.order;
    }
    ensure(lists_[list].tail == previous, "per-CPU list: the tail is wrong");
  }
  ensure(total == static_cast<std::uint64_t>(count_), "per-CPU list: count is wrong");
  ensure(alloc_factor_ >= 0 && alloc_factor_ <= pcp_batch_scale_max, "per-CPU list: alloc_factor out of range");
  return total;
}

int PerCpuPages::decay_high() {
  if (!release_.pcp_auto_tuning()) {
    return 0;
  }
  if (high_ > limits_.high_min) {
    high_ = std::max({count_ - (limits_.batch << pcp_batch_scale_max), high_ - (high_ >> 3), limits_.high_min});
  }
  return std::max(0, count_ - high_);
}

}  // namespace rxpool
