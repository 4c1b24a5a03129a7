// The way back into a page_pool and out of it: ring, release, fragments, destruction (PP-20..32, PP-45..47, PP-50..54).

#include <algorithm>

#include "models/memory/page_pool.hpp"

namespace rxpool {
namespace {

constexpr Time defer_time = milliseconds(1000);    // DEFER_TIME
constexpr Time defer_warn_interval = seconds(60);  // DEFER_WARN_INTERVAL

}  // namespace

void PagePool::lock_producer(MemoryContext& ctx) {
  ctx.cost += prices_.ring_lock;
  if (ring_lock_cpu_ != ctx.cpu) {
    ring_lock_cpu_ = ctx.cpu;
    ++stats.ring_lock_transfers;
    ctx.cost += prices_.ring_lock_transfer;
  }
}

void PagePool::recycle_in_ring(MemoryContext& ctx, PageId page) {
  lock_producer(ctx);
  if (ring_.produce(page)) {
    pages_[page].place = PagePlace::pool_ring;
    ++stats.recycle_ring;
    ctx.cost += prices_.ring_produce;
    return;
  }
  ++stats.recycle_ring_full;
  ++stats.ring_full_released;
  release(ctx, page);
}

bool PagePool::put_for_bulk(MemoryContext& ctx, PageId page, bool direct) {
  check_outside(page);
  if (!recyclable(page)) {
    release_referenced(ctx, page);
    return false;
  }
  sync_for_device(ctx, -1);
  return !direct || !recycle_in_cache(ctx, page);
}

// PP-31, PP-32: one lock for all; a full ring is counted once and the rest is released outside the lock.
void PagePool::recycle_ring_bulk(MemoryContext& ctx, const PageId* pages, std::uint32_t count) {
  lock_producer(ctx);
  std::uint32_t produced = 0;
  while (produced < count && ring_.produce(pages[produced])) {
    pages_[pages[produced]].place = PagePlace::pool_ring;
    ++produced;
  }
  stats.recycle_ring += produced;
  ctx.cost += prices_.ring_produce * produced;
  if (produced == count) {
    return;
  }
  ++stats.recycle_ring_full;
  stats.ring_full_released += count - produced;
  for (std::uint32_t i = produced; i < count; ++i) {
    release(ctx, pages[i]);
  }
}

// PP-23: somebody else still holds the page, or it came from the reserves.
void PagePool::release_referenced(MemoryContext& ctx, PageId page) {
  ++stats.recycle_released_refcnt;
  release(ctx, page);
}

// PP-26.
void PagePool::release(MemoryContext& ctx, PageId page) {
  Page& record = pages_[page];
  if ((record.flags & page_flag::dma_mapped) != 0) {
    record.flags &= static_cast<std::uint8_t>(~page_flag::dma_mapped);
    if (dma_mapped_ > 0) {  // 0 after the destroyed pool unmapped everything at once
      --dma_mapped_;
      ctx.cost += prices_.dma_unmap;
    }
  }
  record.pool = 0;
  ++release_cnt_;
  ++stats.page_pool_state_release;
  ctx.cost += prices_.pool_release;
  if (record.place < PagePlace::posted) {
    record.place = PagePlace::other;
  }
  if (parameters_.provider != nullptr) {
    parameters_.provider->release_netmem(ctx, page);
  } else {
    allocator_.put_page(ctx, page);
  }
}

// PP-61.
std::uint32_t PagePool::return_from_ring(MemoryContext& ctx, std::uint32_t count) {
  std::uint32_t done = 0;
  while (done < count) {
    const PageId page = ring_.consume();
    if (page == no_page) break;
    ctx.cost += prices_.ring_consume;
    release(ctx, page);
    ++done;
  }
  stats.pages_returned += done;
  return done;
}

PageId PagePool::alloc_frag(MemoryContext& ctx, std::uint32_t& offset, std::uint32_t size, Gfp flags) {
  const std::uint32_t max_size = page_bytes << parameters_.order;
  ensure(size <= max_size, "page_pool: fragment larger than the page");
  const std::uint32_t alignment = parameters_.dma_cache_alignment;
  size = (size + alignment - 1) / alignment * alignment;
  ctx.cost += prices_.pool_fragment;
  offset = frag_offset_;
  bool fresh = frag_page_ == no_page;
  if (!fresh && offset + size > max_size) {
    frag_page_ = drain_frag(ctx);
    fresh = true;
    if (frag_page_ != no_page) {
      ++stats.recycle_cached;
      ++stats.alloc_fast;
    }
  }
  if (!fresh) {
    ++frag_users_;
    frag_offset_ = offset + size;
    return frag_page_;
  }
  if (frag_page_ == no_page) {
    frag_page_ = alloc(ctx, flags);
    if (frag_page_ == no_page) {
      return no_page;
    }
  }
  frag_users_ = 1;
  offset = 0;
  frag_offset_ = size;
  fragment(frag_page_, bias_max);
  return frag_page_;
}

PageId PagePool::alloc_va(MemoryContext& ctx, std::uint32_t& offset, std::uint32_t& size, Gfp flags) {
  const std::uint32_t max_size = page_bytes << parameters_.order;
  if (size * 2 > max_size) {
    size = max_size;
    offset = 0;
    return alloc(ctx, flags);
  }
  const PageId page = alloc_frag(ctx, offset, size, flags);
  if (page != no_page && frag_offset_ + size > max_size) {
    size = max_size - offset;
    frag_offset_ = max_size;
  }
  return page;
}

// The current page has no room left: give up the unused share of its count. Returns the page when nobody else uses it
// any more, so that it can be sliced again.
PageId PagePool::drain_frag(MemoryContext& ctx) {
  if (!unref(frag_page_, bias_max - frag_users_)) {
    return no_page;
  }
  if (recyclable(frag_page_)) {
    sync_for_device(ctx, -1);
    return frag_page_;
  }
  release(ctx, frag_page_);
  return no_page;
}

void PagePool::free_frag(MemoryContext& ctx) {
  const PageId page = frag_page_;
  frag_page_ = no_page;
  if (page != no_page && unref(page, bias_max - frag_users_)) {
    release(ctx, page);
  }
}

void PagePool::disable_direct_recycling() {
  napi_list_owner_ = nullptr;
  cpuid_ = -1;
}

bool PagePool::destroy(MemoryContext& ctx) {
  begin_destroy(ctx);
  scrub(ctx);
  return end_destroy(ctx);
}

bool PagePool::release_retry(MemoryContext& ctx) {
  begin_retry(ctx);
  scrub(ctx);
  return end_retry(ctx);
}

void PagePool::begin_destroy(MemoryContext& ctx) {
  disable_direct_recycling();
  free_frag(ctx);
  begin_retry(ctx);
}

// Pages that are out are unmapped once and all together, whoever returns them later.
void PagePool::begin_retry(MemoryContext& ctx) {
  if (destroy_cnt_++ == 0 && allocator_.parameters().release.pool_tracks_dma()) {
    ctx.cost += prices_.dma_unmap * dma_mapped_;
    dma_mapped_ = 0;
  }
}

PageId PagePool::take_scrubbed() {
  return cache_count_ > 0 ? pop_cache() : ring_.consume();
}

void PagePool::scrub(MemoryContext& ctx) {
  for (PageId page = take_scrubbed(); page != no_page; page = take_scrubbed()) {
    release_scrubbed(ctx, page);
  }
}

bool PagePool::end_destroy(MemoryContext& ctx) {
  if (count_left() == 0) {
    return true;
  }
  detached_ = true;
  detach_time_ = ctx.now;
  defer_warn_ = ctx.now + defer_warn_interval;
  next_retry_ = ctx.now + defer_time;
  return false;
}

bool PagePool::end_retry(MemoryContext& ctx) {
  const std::int32_t left = count_left();
  if (left == 0) {
    next_retry_ = Time::never();
    return true;
  }
  if (ctx.now >= defer_warn_ && !parameters_.has_netdev) {
    ++stall_warning_.count;
    stall_warning_.inflight = left;
    stall_warning_.seconds = (ctx.now - detach_time_) / seconds(1);
    defer_warn_ = ctx.now + defer_warn_interval;
  }
  next_retry_ = ctx.now + defer_time;
  return false;
}

// page_pool_release, after the scrub: what is still out.
std::int32_t PagePool::count_left() {
  ++stats.page_pool_release;
  ensure(inflight() >= 0, "page_pool: negative inflight");
  return inflight();
}

}  // namespace rxpool
