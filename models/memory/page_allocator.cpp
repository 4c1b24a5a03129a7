#include "models/memory/page_allocator.hpp"

#include <algorithm>

#include "sim/error.hpp"

namespace rxpool {
namespace {

constexpr PagePlace last_free_place = PagePlace::pool_ring;

// PA-46: what the flags say about zone and migrate type.
ZoneKind highest_zone(Gfp flags) {
  if ((flags & gfp::dma) != 0) {
    return ZoneKind::dma;
  }
  if ((flags & gfp::dma32) != 0) {
    return ZoneKind::dma32;
  }
  return (flags & gfp::movable) != 0 ? ZoneKind::movable : ZoneKind::normal;
}

MigrateType migrate_type(Gfp flags) {
  if ((flags & gfp::movable) != 0) {
    return MigrateType::movable;
  }
  return (flags & gfp::reclaimable) != 0 ? MigrateType::reclaimable : MigrateType::unmovable;
}

}  // namespace

PageAllocator::~PageAllocator() = default;

PageAllocator::Request PageAllocator::make_request(const MemoryContext& ctx, Gfp flags, unsigned order, int nid) const {
  Request request;
  request.flags = flags;
  request.order = order;
  request.nid = nid == numa_no_node ? ctx.node : static_cast<unsigned>(nid);
  request.highest = highest_zone(flags);
  request.type = migrate_type(flags);
  return request;
}

Zone* PageAllocator::preferred_zone(const Request& request) {
  for (const std::uint8_t index : zonelists_[request.nid]) {
    if (zones_[index].kind() <= request.highest) {
      return &zones_[index];
    }
  }
  return nullptr;
}

PageId PageAllocator::alloc_pages(MemoryContext& ctx, Gfp flags, unsigned order, int nid) {
  ensure(order <= max_page_order, "page allocator: order over 10");
  const Request request = make_request(ctx, flags, order, nid);
  ctx.cost += prices_.alloc_entry;
  AllocFlags alloc_flags = alloc_flag::wmark_low;
  if ((flags & gfp::kswapd_reclaim) != 0) {
    alloc_flags |= alloc_flag::kswapd;
  }
  const PageId page = get_page_from_freelist(ctx, request, alloc_flags);
  if (page != no_page) [[likely]] {
    return page;
  }
  return alloc_slowpath(ctx, request);
}

// PA-10.
PageId PageAllocator::get_page_from_freelist(MemoryContext& ctx, const Request& request, AllocFlags flags) {
  for (const std::uint8_t index : zonelists_[request.nid]) {
    Zone& zone = zones_[index];
    if (zone.kind() > request.highest) {
      continue;
    }
    const auto mark = static_cast<Watermark>(flags & alloc_flag::wmark_mask);
    if ((flags & alloc_flag::no_watermarks) == 0) {
      bool ok = false;
      if (!zone.below_high) {
        ok = zone.watermark_fast(request.order, zone.wmark_pages(Watermark::high), request.highest, flags);
        zone.below_high = !ok;
      }
      if (!ok && !zone.watermark_fast(request.order, zone.wmark_pages(mark), request.highest, flags)) {
        continue;
      }
    }
    const PageId page = rmqueue(ctx, zone, request, flags);
    if (page == no_page) {
      continue;
    }
    prepare_new_page(page, request, (flags & alloc_flag::no_watermarks) != 0);
    count_allocation(ctx, request, zone, 1ULL << request.order);
    if ((flags & alloc_flag::highatomic) != 0) {
      zone.reserve_highatomic(ctx, page);
    }
    return page;
  }
  return no_page;
}

PageId PageAllocator::rmqueue(MemoryContext& ctx, Zone& zone, const Request& request, AllocFlags flags) {
  PageId page = no_page;
  if (request.order < pcp_order_count) {
    page = zone.rmqueue_pcplist(ctx, request.order, request.type);
  }
  if (page == no_page) {
    page = zone.rmqueue_buddy(ctx, request.order, request.type, flags);
  }
  if (zone.boosted_watermark && (flags & alloc_flag::kswapd) != 0) {
    zone.boosted_watermark = false;  // PA-42: the boost is paid back by kswapd
    wake_kswapd(ctx.now, zone, 0, zone.kind());
  }
  return page;
}

// PA-44: a page taken without watermarks is marked, and its packets are for SOCK_MEMALLOC sockets only.
void PageAllocator::prepare_new_page(PageId page, const Request& request, bool pfmemalloc) {
  Page& record = pages_[page];
  record.refcount = 1;
  record.place = PagePlace::other;
  record.order = static_cast<std::uint8_t>(request.order);
  record.pool = 0;
  record.flags = static_cast<std::uint8_t>((pfmemalloc ? page_flag::pfmemalloc : 0) |
                                           (request.type == MigrateType::movable ? page_flag::movable : 0));
}

void PageAllocator::count_allocation(const MemoryContext& ctx, const Request& request, Zone& zone,
                                     std::uint64_t pages) {
  zone.stats.pgalloc += pages;
  Zone* preferred = preferred_zone(request);
  if (zone.node() == preferred->node()) {
    ++zone.stats.numa_hit;
  } else {
    ++zone.stats.numa_miss;
    ++preferred->stats.numa_foreign;
  }
  ++(zone.node() == ctx.node ? zone.stats.numa_local : zone.stats.numa_other);
}

std::uint32_t PageAllocator::alloc_pages_bulk(MemoryContext& ctx, Gfp flags, int nid, PageId* out,
                                              std::uint32_t count) {
  if (count == 0) {
    return 0;
  }
  ++stats.bulk_calls;
  const Request request = make_request(ctx, flags, 0, nid);
  Zone* chosen = nullptr;
  if (count > 1 && (flags & gfp::account) == 0 && !parameters_.page_owner) {  // PA-31
    ctx.cost += prices_.alloc_entry;
    const Zone* preferred = preferred_zone(request);
    for (const std::uint8_t index : zonelists_[request.nid]) {
      Zone& zone = zones_[index];
      if (zone.kind() > request.highest) {
        continue;
      }
      if (zone.node() != preferred->node()) {
        break;  // PA-32: only zones of the preferred node
      }
      if (zone.watermark_fast(0, zone.wmark_pages(Watermark::low) + count, preferred->kind(), alloc_flag::wmark_low)) {
        chosen = &zone;
        break;
      }
    }
  }
  std::uint32_t taken = 0;
  if (chosen != nullptr) {
    for (; taken < count; ++taken) {
      const PageId page = chosen->rmqueue_pcplist_bulk(ctx, 0, request.type);
      if (page == no_page) {
        break;
      }
      prepare_new_page(page, request, false);  // PA-35
      out[taken] = page;
    }
  }
  if (taken > 0) {
    count_allocation(ctx, request, *chosen, taken);
    return taken;
  }
  ++stats.bulk_single;  // PA-31: one page the ordinary way
  out[0] = alloc_pages(ctx, flags, 0, nid);
  return out[0] != no_page ? 1 : 0;
}

void PageAllocator::put_page(MemoryContext& ctx, PageId page) {
  Page& record = pages_[page];
  ensure(record.refcount > 0 && record.place > last_free_place, "page allocator: put of a page that is free");
  if (--record.refcount == 0) {
    free_block(ctx, page);
  }
}

void PageAllocator::free_block(MemoryContext& ctx, PageId page) {
  const Page& record = pages_[page];
  Zone& zone = zones_[record.zone];
  if (record.order < pcp_order_count) {
    zone.free_to_pcp(ctx, page, record.order);
  } else {
    zone.free_to_buddy(ctx, page, record.order);
  }
}

bool PageAllocator::put_may_touch_zone(std::uint16_t cpu, PageId page) const {
  const Page& record = pages_[page];
  if (record.refcount > 1) {
    return false;
  }
  return record.order != 0 || zones_[record.zone].next_free_may_flush(cpu);
}

Buddy::Range PageAllocator::take_untouched(unsigned node, std::uint64_t blocks) {
  for (auto zone = zones_.rbegin(); zone != zones_.rend(); ++zone) {
    if (zone->node() == node) {
      const Buddy::Range range = zone->buddy().take_untouched(blocks);
      if (range.blocks != 0) {
        return range;
      }
    }
  }
  return {};
}

Zone& PageAllocator::zone_of(PageId page, unsigned node) {
  const auto found = std::find_if(zones_.begin(), zones_.end(),
                                  [&](const Zone& zone) { return zone.node() == node && zone.buddy().contains(page); });
  ensure(found != zones_.end(), "page allocator: page of no zone of this node");
  return *found;
}

void PageAllocator::materialize(PageId page, unsigned node) {
  const Zone& zone = zone_of(page, node);
  Page& record = pages_[page];
  record.zone = zone.parameters().index;
  record.node = zone.node();
  record.order = 0;
  record.refcount = 1;
  record.pool = 0;
  record.place = PagePlace::other;
  record.flags = page_flag::movable;
}

void PageAllocator::give_block(MemoryContext& ctx, PageId page, unsigned node) {
  zone_of(page, node).free_to_buddy(ctx, page, max_page_order);
}

void PageAllocator::vmstat_tick(MemoryContext& ctx) {
  for (Zone& zone : zones_) {
    zone.vmstat_tick(ctx);
  }
}

void PageAllocator::drain_all_pages(MemoryContext& ctx) {
  for (Zone& zone : zones_) {
    for (unsigned cpu = 0; cpu < zone.parameters().cpus; ++cpu) {
      zone.drain(ctx, static_cast<std::uint16_t>(cpu));
    }
  }
}

std::uint64_t PageAllocator::nr_free_pages() const {
  std::uint64_t total = 0;
  for (const Zone& zone : zones_) {
    total += zone.nr_free_pages();
  }
  return total;
}

std::uint64_t PageAllocator::nr_pcp_pages() const {
  std::uint64_t total = 0;
  for (const Zone& zone : zones_) {
    total += zone.nr_pcp_pages();
  }
  return total;
}

void PageAllocator::verify() const {
  for (const Zone& zone : zones_) {
    zone.verify();
  }
}

}  // namespace rxpool
