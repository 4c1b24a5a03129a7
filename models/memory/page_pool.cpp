#include "models/memory/page_pool.hpp"

#include <algorithm>
#include <iterator>
#include <string>

namespace rxpool {
namespace {

constexpr std::uint32_t max_ring_size = 16384;
constexpr std::uint32_t refused_ring_size = 32768;

std::uint32_t ring_size(const PagePoolParameters& parameters, KernelRelease release) {
  std::uint32_t size = parameters.pool_size != 0 ? parameters.pool_size : parameters.constants.default_ring_size;
  if (release.pool_ring_clamped()) {
    size = std::min(size, max_ring_size);
  } else if (size > refused_ring_size) {
    throw InputError("page_pool: pool_size is " + std::to_string(size) + ", this kernel takes at most 32768");
  }
  return size;
}

const PagePoolParameters& checked(const PagePoolParameters& parameters) {
  if (parameters.dma_direction == DmaDirection::to_device) {
    throw InputError("page_pool: dma_direction must be from_device or bidirectional");
  }
  if (parameters.dma_sync_dev && (!parameters.dma_map || parameters.max_len == 0)) {
    throw InputError("page_pool: dma_sync_dev needs dma_map and a max_len above 0");
  }
  if (parameters.order > max_page_order) {
    throw InputError("page_pool: order is " + std::to_string(parameters.order) + ", the largest is 10");
  }
  if (parameters.provider != nullptr && (parameters.order != 0 || !parameters.dma_map || !parameters.dma_sync_dev)) {
    throw InputError("page_pool: a memory provider needs order 0, dma_map and dma_sync_dev");
  }
  const PagePoolConstants& constants = parameters.constants;
  if (constants.cache_size == 0 || constants.cache_refill == 0 || constants.cache_refill > constants.cache_size) {
    throw InputError("page_pool: cache_refill must be between 1 and cache_size");
  }
  return parameters;
}

}  // namespace

PagePool::PagePool(PageAllocator& allocator, const PagePoolParameters& parameters, std::uint16_t id)
    : cache_(std::make_unique<PageId[]>(checked(parameters).constants.cache_size)),
      pages_(allocator.pages()),
      cache_size_(parameters.constants.cache_size),
      napi_list_owner_(parameters.napi_list_owner),
      cpuid_(parameters.cpuid),
      id_(id),
      needs_sync_(parameters.dma_sync_dev && parameters.dma_dev_need_sync),
      has_provider_(parameters.provider != nullptr),
      price_cache_alloc_(allocator.prices().pool_cache_alloc),
      price_cache_recycle_(allocator.prices().pool_cache_recycle),
      prices_(allocator.prices()),
      ring_(ring_size(parameters, allocator.parameters().release)),
      nid_(parameters.nid),
      allocator_(allocator),
      parameters_(parameters) {}

bool PagePool::unref_shared(Page& record, std::int64_t count) {
  ensure(record.pp_ref_count > count, "page_pool: more fragments returned than handed out");
  record.pp_ref_count -= count;
  return false;
}

PageId PagePool::alloc_refill(MemoryContext& ctx, Gfp flags) {
  PageId page = refill_from_ring(ctx);
  if (page == no_page) {
    page = parameters_.order == 0 ? alloc_slow(ctx, flags) : alloc_high_order(ctx, flags);
    if (page == no_page) {
      ++stats.alloc_failed;
    }
  }
  return page;
}

// PP-11. A page of the wrong node leaves the pool and ends the refill.
PageId PagePool::refill_from_ring(MemoryContext& ctx) {
  if (ring_.peek() == no_page) {
    ++stats.alloc_empty;
    return no_page;
  }
  ctx.cost += prices_.pool_refill;
  const int preferred = nid_ == numa_no_node ? ctx.node : nid_;
  do {
    const PageId page = ring_.consume();
    if (page == no_page) {
      break;
    }
    ctx.cost += prices_.ring_consume;
    ensure(pages_[page].place == PagePlace::pool_ring, "page_pool: a page in the ring is tagged as elsewhere");
    if (pages_[page].node != preferred) {
      release(ctx, page);
      ++stats.alloc_waive;
      break;
    }
    push_cache(page);
  } while (cache_count_ < parameters_.constants.cache_refill);
  if (cache_count_ == 0) {
    return no_page;
  }
  ++stats.alloc_refill;
  return pop_cache();
}

// Where the slow path's pages come from and how many it asks for: the place to change for another limit or bulk.
std::uint32_t PagePool::fetch(MemoryContext& ctx, Gfp flags, PageId* out, std::uint32_t count) {
  if (limit_ != 0) {
    count = within_limit(count);
    if (count == 0) return 0;
  }
  return parameters_.provider != nullptr ? parameters_.provider->alloc_netmems(ctx, out, count)
                                         : allocator_.alloc_pages_bulk(ctx, flags, nid_, out, count);
}

// PP-60.
std::uint32_t PagePool::within_limit(std::uint32_t count) {
  const auto have = static_cast<std::uint32_t>(inflight());
  if (have < limit_) return std::min(count, limit_ - have);
  if (!limit_is_absolute_) return 1;
  ++stats.limit_refused;
  return 0;
}

// PP-13, order 0.
PageId PagePool::alloc_slow(MemoryContext& ctx, Gfp flags) {
  ctx.cost += prices_.pool_slow;
  const std::uint32_t got = fetch(ctx, flags, cache_.get(), parameters_.constants.cache_refill);
  for (std::uint32_t i = 0; i < got; ++i) {
    const PageId page = cache_[i];
    if (adopt(ctx, page)) {
      push_cache(page);
    }
  }
  if (cache_count_ == 0) {
    return no_page;
  }
  ++stats.alloc_slow;
  return pop_cache();
}

PageId PagePool::alloc_high_order(MemoryContext& ctx, Gfp flags) {
  ctx.cost += prices_.pool_slow;
  const PageId page = allocator_.alloc_pages(ctx, flags, parameters_.order, nid_);
  if (page == no_page || !adopt(ctx, page)) {
    return no_page;
  }
  ++stats.alloc_slow_high_order;
  return page;
}

// A page enters the pool: mapped (or put back when that fails), marked as the pool's, counted.
bool PagePool::adopt(MemoryContext& ctx, PageId page) {
  Page& record = pages_[page];
  if (parameters_.dma_map) {
    if (dma_map_failures_ > 0) {
      --dma_map_failures_;
      allocator_.put_page(ctx, page);
      return false;
    }
    record.flags |= page_flag::dma_mapped;
    ++dma_mapped_;
    ctx.cost += prices_.dma_map;
    sync_for_device(ctx, -1);
  }
  record.pool = id_;
  record.pp_ref_count = 1;
  ++hold_cnt_;
  ++stats.page_pool_state_hold;
  return true;
}

bool PagePool::next_alloc_may_touch_zone() const {
  // A refill may meet a page of the wrong node and release it, so with several nodes every refill may.
  return cache_count_ == 0 && (ring_.peek() == no_page || allocator_.node_count() > 1);
}

bool PagePool::next_put_may_touch_ring(const MemoryContext& ctx, PageId page, bool allow_direct) const {
  if (shared(page)) {
    return false;
  }
  return !recyclable(page) || !(allow_direct || napi_local(ctx)) || cache_count_ == cache_size_;
}

bool PagePool::next_put_may_touch_zone(const MemoryContext& ctx, PageId page, bool allow_direct) const {
  if (!next_put_may_touch_ring(ctx, page, allow_direct) || (recyclable(page) && !ring_.looks_full())) {
    return false;
  }
  return allocator_.put_may_touch_zone(ctx.cpu, page);
}

// PP-40: the cache goes, the ring stays.
void PagePool::update_nid(MemoryContext& ctx, int new_nid) {
  ++stats.page_pool_update_nid;
  nid_ = new_nid;
  empty_cache(ctx);
}

void PagePool::empty_cache(MemoryContext& ctx) {
  while (cache_count_ > 0) {
    release(ctx, pop_cache());
  }
}

PagePoolStats& PagePoolStats::operator+=(const PagePoolStats& other) {
  using Stats = PagePoolStats;
  constexpr std::uint64_t Stats::* counters[] = {
      &Stats::alloc_fast,
      &Stats::alloc_slow,
      &Stats::alloc_slow_high_order,
      &Stats::alloc_empty,
      &Stats::alloc_refill,
      &Stats::alloc_waive,
      &Stats::recycle_cached,
      &Stats::recycle_cache_full,
      &Stats::recycle_ring,
      &Stats::recycle_ring_full,
      &Stats::recycle_released_refcnt,
      &Stats::page_pool_state_hold,
      &Stats::page_pool_state_release,
      &Stats::page_pool_release,
      &Stats::page_pool_update_nid,
      &Stats::alloc_failed,
      &Stats::ring_full_released,
      &Stats::ring_lock_transfers,
      &Stats::dma_syncs,
      &Stats::limit_refused,
      &Stats::pages_returned,
  };
  static_assert(sizeof(PagePoolStats) == std::size(counters) * sizeof(std::uint64_t));
  for (const auto counter : counters) this->*counter += other.*counter;
  return *this;
}

void PagePool::verify() const {
  for (std::uint32_t i = 0; i < cache_count_; ++i) {
    const Page& record = pages_[cache_[i]];
    ensure(record.place == PagePlace::pool_cache && record.pool == id_, "page_pool: foreign page in the cache");
  }
  for (std::uint32_t i = 0; i < ring_.count(); ++i) {
    const Page& record = pages_[ring_.at(i)];
    ensure(record.place == PagePlace::pool_ring && record.pool == id_, "page_pool: foreign page in the ring");
  }
  ensure(cache_count_ <= cache_size_, "page_pool: the cache is over its size");
  ensure(outside() >= 0, "page_pool: more pages in the pool than inflight");
  ensure(static_cast<std::uint32_t>(stats.page_pool_state_hold) == hold_cnt_ &&
             static_cast<std::uint32_t>(stats.page_pool_state_release) == release_cnt_,
         "page_pool: tracepoints and counters disagree");
}

}  // namespace rxpool
