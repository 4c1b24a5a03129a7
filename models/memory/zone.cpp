#include "models/memory/zone.hpp"

#include <algorithm>

#include "sim/error.hpp"

namespace rxpool {

const char* to_string(ZoneKind kind) {
  static constexpr const char* names[zone_kind_count] = {"dma", "dma32", "normal", "movable"};
  return names[static_cast<unsigned>(kind)];
}

Zone::Zone(PageTable& pages, const MemoryPrices& prices, const ZoneParameters& parameters)
    : pages_(pages),
      prices_(prices),
      parameters_(parameters),
      buddy_(pages, parameters.first_page, parameters.present_pages),
      pcp_(parameters.cpus, PerCpuPages(parameters.release)) {
  highatomic_blocks_.reserve(parameters.present_pages / 100 / pageblock_pages + 1);
}

void Zone::lock(MemoryContext& ctx) {
  ++stats.zone_lock_holds;
  ctx.cost += prices_.zone_lock;
  if (lock_cpu_ != ctx.cpu) {
    lock_cpu_ = ctx.cpu;
    ++stats.zone_lock_transfers;
    ctx.cost += prices_.zone_lock_transfer;
  }
}

// PA-42: a fallback into part of a foreign pageblock raises the watermarks for a while.
void Zone::note_boost() {
  if (boost_factor_ == 0 || pageblock_pages * 4 > managed_pages()) {
    return;
  }
  const std::uint64_t limit = std::max(pageblock_pages, wmark_unboosted(Watermark::high) * boost_factor_ / 10000);
  boost_ = std::min(boost_ + pageblock_pages, limit);
  boosted_watermark = true;
}

PageId Zone::take_block(unsigned order, MigrateType type) {
  bool boost = false;
  const PageId page = buddy_.take(order, type, boost);
  if (boost) {
    note_boost();
  }
  if (page != no_page) {
    ++stats.mm_page_alloc_zone_locked;
    Page& record = pages_[page];
    record.zone = parameters_.index;
    record.node = parameters_.node;
    record.flags = 0;
  }
  return page;
}

int Zone::rmqueue_bulk(MemoryContext& ctx, unsigned order, MigrateType type, int count) {
  lock(ctx);
  PerCpuPages& pcp = pcp_[ctx.cpu];
  const unsigned list = pcp_list_index(order, type);
  int taken = 0;
  for (; taken < count; ++taken) {
    const PageId page = take_block(order, type);
    if (page == no_page) {
      break;
    }
    Page& record = pages_[page];
    record.place = PagePlace::pcp;
    record.migrate_type = static_cast<std::uint8_t>(type);
    pcp.push_tail(pages_, list, page);
  }
  pcp_pages_ += static_cast<std::uint64_t>(taken) << order;
  ctx.cost += prices_.rmqueue_page * taken;
  return taken;
}

PageId Zone::rmqueue_pcplist_bulk(MemoryContext& ctx, unsigned order, MigrateType type) {
  PerCpuPages& pcp = pcp_[ctx.cpu];
  const unsigned list = pcp_list_index(order, type);
  if (pcp.list_empty(list) && rmqueue_bulk(ctx, order, type, pcp.nr_alloc(order, pcp_state())) == 0) {
    return no_page;
  }
  pcp.touched = true;
  const PageId page = pcp.pop(pages_, list);
  pcp_pages_ -= 1ULL << order;
  ctx.cost += prices_.pcp_alloc;
  ensure(pages_[page].place == PagePlace::pcp, "per-CPU list: a page in it is tagged as elsewhere");
  return page;
}

PageId Zone::rmqueue_pcplist(MemoryContext& ctx, unsigned order, MigrateType type) {
  pcp_[ctx.cpu].note_alloc();
  return rmqueue_pcplist_bulk(ctx, order, type);
}

PageId Zone::rmqueue_buddy(MemoryContext& ctx, unsigned order, MigrateType type, AllocFlags flags) {
  lock(ctx);
  PageId page = no_page;
  if ((flags & alloc_flag::highatomic) != 0) {
    page = buddy_.take_exact(order, MigrateType::highatomic);
  }
  if (page == no_page) {
    page = take_block(order, type);
  }
  if (page == no_page && (flags & (alloc_flag::oom | alloc_flag::non_block)) != 0) {
    page = buddy_.take_exact(order, MigrateType::highatomic);
  }
  if (page != no_page) {
    Page& record = pages_[page];
    record.zone = parameters_.index;
    record.node = parameters_.node;
    record.flags = 0;
    record.migrate_type = static_cast<std::uint8_t>(type);
    record.place = PagePlace::pcp;  // on its way out; the allocator tags it
    ctx.cost += prices_.rmqueue_page;
  }
  return page;
}

void Zone::free_to_buddy(MemoryContext& ctx, PageId page, unsigned order) {
  lock(ctx);
  stats.pgfree += 1ULL << order;
  buddy_.give(page, order);
  ctx.cost += prices_.free_page_bulk;
}

void Zone::free_to_pcp(MemoryContext& ctx, PageId page, unsigned order) {
  PerCpuPages& pcp = pcp_[ctx.cpu];
  // A page goes back under its pageblock's type; the highatomic reserve has no list of its own and shares movable's.
  MigrateType type = buddy_.pageblock_type(page);
  if (type == MigrateType::highatomic) {
    type = MigrateType::movable;
  }
  const unsigned list = pcp_list_index(order, type);
  Page& record = pages_[page];
  record.place = PagePlace::pcp;
  record.migrate_type = static_cast<std::uint8_t>(type);
  record.flags = 0;
  pcp.touched = true;
  pcp.push_head(pages_, list, page);
  stats.pgfree += 1ULL << order;
  pcp_pages_ += 1ULL << order;
  ctx.cost += prices_.pcp_free;
  int flush = pcp.note_free(order, pcp_state());
  if (flush == 0) {
    return;
  }
  const int chunk = parameters_.release.pcp_free_in_chunks() ? pcp.batch() : flush;
  for (; flush > 0; flush -= chunk) {
    free_pcppages_bulk(ctx, pcp, std::min(flush, chunk), list);
  }
  if (below_high && watermark_ok(0, wmark_pages(Watermark::high), ZoneKind::movable, 0)) {
    below_high = false;  // PA-25
  }
}

bool Zone::next_free_may_flush(std::uint16_t cpu) const {
  return flags_may_change() || pcp_[cpu].next_free_flushes(pcp_state());
}

// PA-23: empties the list just used first, coldest page first, then the next lists in turn.
void Zone::free_pcppages_bulk(MemoryContext& ctx, PerCpuPages& pcp, int count, unsigned first_list) {
  count = std::min(count, pcp.count());
  if (count <= 0) {
    return;
  }
  lock(ctx);
  unsigned list = first_list;
  while (count > 0) {
    const unsigned order = list / migrate_pcp_types;
    while (count > 0 && !pcp.list_empty(list)) {
      const PageId page = pcp.pop_tail(pages_, list);
      ensure(pages_[page].place == PagePlace::pcp, "per-CPU list: a page in it is tagged as elsewhere");
      buddy_.give(page, order);
      ++stats.mm_page_pcpu_drain;
      ctx.cost += prices_.free_page_bulk;
      pcp_pages_ -= 1ULL << order;
      count -= 1 << order;
    }
    list = list + 1 == pcp_list_count ? 0 : list + 1;
  }
}

bool Zone::watermark_ok(unsigned order, std::uint64_t mark, ZoneKind highest, AllocFlags flags) const {
  std::int64_t free = static_cast<std::int64_t>(nr_free_pages());
  free -= (1LL << order) - 1;
  std::int64_t min = static_cast<std::int64_t>(mark);
  if ((flags & alloc_flag::reserves) == 0) {
    free -= static_cast<std::int64_t>(buddy_.free_pages(MigrateType::highatomic));
  } else {
    if ((flags & alloc_flag::min_reserve) != 0) {
      min -= min / 2;
      if ((flags & alloc_flag::non_block) != 0) {
        min -= min / 4;
      }
    }
    if ((flags & alloc_flag::oom) != 0) {
      min -= min / 2;
    }
  }
  if (free <= min + static_cast<std::int64_t>(lowmem_reserve(highest))) {
    return false;
  }
  if (order == 0) {
    return true;
  }
  for (unsigned current = order; current <= max_page_order; ++current) {
    for (unsigned type = 0; type < migrate_pcp_types; ++type) {
      if (buddy_.free_blocks(current, static_cast<MigrateType>(type)) != 0) {
        return true;
      }
    }
    if ((flags & (alloc_flag::highatomic | alloc_flag::oom)) != 0 &&
        buddy_.free_blocks(current, MigrateType::highatomic) != 0) {
      return true;
    }
  }
  return false;
}

bool Zone::watermark_fast(unsigned order, std::uint64_t mark, ZoneKind highest, AllocFlags flags) const {
  if (watermark_ok(order, mark, highest, flags)) {
    return true;
  }
  // The boost does not bind order-0 requests that may use the reserve (PA-42).
  if (order == 0 && boost_ != 0 && (flags & alloc_flag::min_reserve) != 0 &&
      (flags & alloc_flag::wmark_mask) == alloc_flag::wmark_min) {
    return watermark_ok(order, wmark_unboosted(Watermark::min), highest, flags);
  }
  return false;
}

void Zone::set_watermarks(std::uint64_t min, std::uint64_t gap) {
  watermark_ = {min, min + gap, min + 2 * gap, min + 3 * gap};
  boost_ = 0;
}

void Zone::set_pcp_limits(const PcpLimits& limits) {
  for (PerCpuPages& pcp : pcp_) {
    pcp.set_limits(limits);
  }
}

void Zone::reserve_highatomic(MemoryContext& ctx, PageId page) {
  const std::uint64_t one_percent = managed_pages() / 100;
  if (one_percent < pageblock_pages) {
    return;
  }
  const std::uint64_t limit = (one_percent + pageblock_pages - 1) / pageblock_pages * pageblock_pages;
  if (reserved_highatomic_ >= limit || highatomic_blocks_.size() == highatomic_blocks_.capacity() ||
      buddy_.pageblock_type(page) == MigrateType::highatomic) {
    return;
  }
  lock(ctx);
  buddy_.retype_pageblock(page, MigrateType::highatomic);
  reserved_highatomic_ += pageblock_pages;
  highatomic_blocks_.push_back(page & ~static_cast<PageId>(pageblock_pages - 1));
}

bool Zone::unreserve_highatomic(MemoryContext& ctx) {
  for (std::size_t i = 0; i < highatomic_blocks_.size(); ++i) {
    lock(ctx);
    const PageId block = highatomic_blocks_[i];
    const std::uint64_t moved = buddy_.retype_pageblock(block, MigrateType::unmovable);
    reserved_highatomic_ -= pageblock_pages;
    highatomic_blocks_.erase(highatomic_blocks_.begin() + static_cast<std::ptrdiff_t>(i));
    return moved != 0;
  }
  return false;
}

void Zone::vmstat_tick(MemoryContext& ctx) {
  PerCpuPages& pcp = pcp_[ctx.cpu];
  for (int excess = pcp.decay_high(); excess > 0; excess -= pcp.batch()) {
    free_pcppages_bulk(ctx, pcp, std::min(excess, pcp.batch()), 0);
  }
  if (pcp.touched) {
    pcp.touched = false;
    pcp.expire = 3;
  }
  if (pcp.expire == 0 || pcp.count() == 0) {
    return;
  }
  if (parameters_.node == ctx.node) {
    pcp.expire = 0;
    return;
  }
  if (--pcp.expire == 0) {
    free_pcppages_bulk(ctx, pcp, std::min(pcp.count(), pcp.batch()), 0);
  }
}

void Zone::drain(MemoryContext& ctx, std::uint16_t cpu) {
  PerCpuPages& pcp = pcp_[cpu];
  while (pcp.count() > 0) {
    free_pcppages_bulk(ctx, pcp, std::min(pcp.count(), pcp.batch() << pcp_batch_scale_max), 0);
  }
}

void Zone::verify() const {
  buddy_.verify();
  std::uint64_t total = 0;
  for (const PerCpuPages& pcp : pcp_) {
    total += pcp.verify(pages_);
  }
  ensure(total == pcp_pages_, "zone: the count of pages in per-CPU lists is wrong");
}

}  // namespace rxpool
