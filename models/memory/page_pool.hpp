#pragma once
// One page_pool: a LIFO cache that only its NAPI context touches, a ptr_ring that any CPU returns pages to, and the
// page allocator behind them, with the kernel's constants, counters, fragment counts and failure modes. Left out: the
// netlink and tracepoint transport (the counters are here) and real DMA addresses. Rules: PP-1..55;
// net/core/page_pool.c, include/net/page_pool/helpers.h.
//
// How a driver model uses it:
//   std::int32_t list_owner = -1;                        // the NAPI's; CPU while it is scheduled there (PP-22)
//   PagePool& pool = pools.create({.pool_size = 1024, .nid = 0, .napi_list_owner = &list_owner});
//   MemoryContext ctx{.cpu = 2, .node = 0, .in_softirq = true, .now = now};
//   PageId page = pool.alloc(ctx);                       // no_page: failed, count it in the driver (PP-13)
//   allocator.page(page).place = PagePlace::posted;      // the holder names the place
//   pool.put_page(ctx, page, -1, true);                  // own poll: direct; from an skb: allow_direct false
//   core.charge(ctx.cost);
// A core that runs ahead of the others may call alloc() while cache_count() > 0 and put_page() while
// !next_put_may_touch_ring(); before anything else it synchronises, because the ring and the zone are shared.
// next_*_may_touch_zone() tell the two apart.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "models/memory/context.hpp"
#include "models/memory/gfp.hpp"
#include "models/memory/page.hpp"
#include "models/memory/page_allocator.hpp"
#include "models/memory/page_pool_params.hpp"
#include "models/memory/ptr_ring.hpp"
#include "sim/error.hpp"

namespace rxpool {

class PagePool {
 public:
  static constexpr std::int64_t bias_max = INT64_MAX / 2;  ///< BIAS_MAX of the fragment API (PP-45)

  /// Through PagePools, which gives the id. Throws InputError on parameters that the kernel refuses (PP-1..3).
  PagePool(PageAllocator& allocator, const PagePoolParameters& parameters, std::uint16_t id);
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // --- allocation ---
  /// One page of PAGE_SIZE << order, place `other`; no_page on failure (PP-10..13).
  PageId alloc(MemoryContext& ctx, Gfp flags = gfp::pool_default) {
    if (cache_count_ > 0) [[likely]] {
      ++stats.alloc_fast;
      ctx.cost += price_cache_alloc_;
      return pop_cache();
    }
    return alloc_refill(ctx, flags);
  }
  /// alloc() `count` times, stopping at the first failure; returns how many it got. Same effects, fewer host cycles.
  std::uint32_t alloc_batch(MemoryContext& ctx, PageId* out, std::uint32_t count, Gfp flags = gfp::pool_default);
  /// One slice of at least `size` bytes; sets its offset (page_pool_alloc_frag, PP-45).
  PageId alloc_frag(MemoryContext& ctx, std::uint32_t& offset, std::uint32_t size, Gfp flags = gfp::pool_default);
  /// Whole page or slice, whichever fits; rewrites `size` to what the caller really owns (page_pool_alloc, PP-46).
  PageId alloc_va(MemoryContext& ctx, std::uint32_t& offset, std::uint32_t& size, Gfp flags = gfp::pool_default);

  // --- fragment counts ---
  /// The page will be returned `count` times (page_pool_fragment_netmem; DR-10's bias).
  void fragment(PageId page, std::int64_t count) { pages_[page].pp_ref_count = count; }
  /// Drops `count` of the page's fragments; true for the last user (PP-20).
  bool unref(PageId page, std::int64_t count) {
    Page& record = pages_[page];
    if (record.pp_ref_count == count) [[likely]] {
      if (count != 1) {
        record.pp_ref_count = 1;
      }
      return true;
    }
    return unref_shared(record, count);
  }

  /// What a driver's refill does when nothing went up the stack: returns `count` recyclable() pages of which it holds
  /// all fragments directly and takes as many new ones, which are the same in reverse order, because the cache is a
  /// stack. False, and nothing done, unless exactly that would happen (PP-10, PP-20, PP-24).
  bool exchange(MemoryContext& ctx, std::uint32_t count) {
    if (cache_count_ + count > cache_size_ || needs_sync_) return false;
    stats.recycle_cached += count;
    stats.alloc_fast += count;
    ctx.cost += (prices_.pool_cache_recycle + prices_.pool_cache_alloc) * count;
    return true;
  }
  /// PP-23: may the page stay in the pool?
  bool recyclable(PageId page) const {
    const Page& record = pages_[page];
    return (record.refcount == 1 && !record.pfmemalloc()) || has_provider_;
  }

  // --- returning ---
  /// page_pool_put_page. dma_sync_size -1 syncs max_len; allow_direct: the caller is the pool's own NAPI poll.
  void put_page(MemoryContext& ctx, PageId page, std::int32_t dma_sync_size, bool allow_direct) {
    if (unref(page, 1)) {
      put_unrefed_page(ctx, page, dma_sync_size, allow_direct);
    }
  }
  void put_full_page(MemoryContext& ctx, PageId page, bool allow_direct) { put_page(ctx, page, -1, allow_direct); }
  void recycle_direct(MemoryContext& ctx, PageId page) { put_page(ctx, page, -1, true); }
  /// recycle_direct() of each page in turn. Same effects, fewer host cycles.
  void recycle_direct_batch(MemoryContext& ctx, const PageId* pages, std::uint32_t count);
  /// For a caller that has already done unref() and was the last (PP-21..26).
  void put_unrefed_page(MemoryContext& ctx, PageId page, std::int32_t dma_sync_size, bool allow_direct) {
    check_outside(page);
    const bool direct = allow_direct || napi_local(ctx);
    if (recyclable(page)) [[likely]] {
      sync_for_device(ctx, dma_sync_size);
      if (direct && recycle_in_cache(ctx, page)) {
        return;
      }
      recycle_in_ring(ctx, page);
      return;
    }
    release_referenced(ctx, page);
  }
  /// PP-21, PP-22: may this context push on the cache without having been told so?
  bool napi_local(const MemoryContext& ctx) const {
    if (!ctx.in_softirq || parameters_.preempt_rt) {
      return false;
    }
    return cpuid_ == ctx.cpu || (napi_list_owner_ != nullptr && *napi_list_owner_ == ctx.cpu);
  }

  // --- what a core that runs ahead must know ---
  /// alloc() would look at the ring, which other CPUs fill.
  bool next_alloc_may_touch_ring() const { return cache_count_ == 0; }
  /// alloc() would or might call the page allocator.
  bool next_alloc_may_touch_zone() const;
  /// put_page() of this page would push on the ring or free the page.
  bool next_put_may_touch_ring(const MemoryContext& ctx, PageId page, bool allow_direct) const;
  /// Others hold shares of it, and who drops the last one brings it home.
  bool shared(PageId page) const { return pages_[page].pp_ref_count > 1; }
  /// put_page() of this page would free it, and that may flush a per-CPU list into the zone.
  bool next_put_may_touch_zone(const MemoryContext& ctx, PageId page, bool allow_direct) const;

  /// The same for `count` recyclable pages in a row: neither cache nor ring would surely hold them.
  bool puts_may_touch_zone(const MemoryContext& ctx, std::uint32_t count, bool allow_direct) const {
    const std::uint32_t room = allow_direct || napi_local(ctx) ? cache_size_ - cache_count_ : 0;
    return count > room && ring_.count() + (count - room) + PtrRing::consumer_batch > ring_.size();
  }

  // --- what a control loop may do; nothing of it exists in the kernel (PP-60, PP-61) ---
  /// From here on the slow path asks for no more than fits under `pages` inflight; beyond it gets one page at a time
  /// (soft) or none (absolute). 0: no limit.
  void set_limit(std::uint32_t pages, bool absolute) {
    limit_ = pages;
    limit_is_absolute_ = absolute;
  }
  std::uint32_t limit() const { return limit_; }
  /// Gives up to `count` pages of the ring back to the page allocator; returns how many.
  std::uint32_t return_from_ring(MemoryContext& ctx, std::uint32_t count);

  // --- NUMA, life cycle ---
  /// page_pool_nid_changed, called by drivers at refill (PP-40).
  void nid_changed(MemoryContext& ctx, int new_nid) {
    if (new_nid != nid_) [[unlikely]] {
      update_nid(ctx, new_nid);
    }
  }
  /// page_pool_disable_direct_recycling, also on NAPI removal.
  void disable_direct_recycling();
  /// page_pool_destroy at ctx.now: true when nothing was inflight and the pool is gone; otherwise it is detached and
  /// release_retry() is due at next_retry() (PP-52).
  bool destroy(MemoryContext& ctx);
  /// page_pool_release_retry: true when the pool is gone now (PP-52, PP-53).
  bool release_retry(MemoryContext& ctx);
  /// Both in their steps, between which other contexts may return pages: begin, then take and release page by page
  /// until none is left, then end.
  void begin_destroy(MemoryContext& ctx);
  void begin_retry(MemoryContext& ctx);
  PageId take_scrubbed();  ///< of the cache before the ring; no_page when both are empty
  void release_scrubbed(MemoryContext& ctx, PageId page) { release(ctx, page); }
  bool end_destroy(MemoryContext& ctx);
  bool end_retry(MemoryContext& ctx);
  Time next_retry() const { return next_retry_; }
  bool detached() const { return detached_; }
  Time detach_time() const { return detach_time_; }
  /// "stalled pool shutdown" warnings so far, and what the last one said (PP-53).
  struct StallWarning {
    std::uint32_t count = 0;
    std::int32_t inflight = 0;
    std::int64_t seconds = 0;
  };
  const StallWarning& stall_warning() const { return stall_warning_; }
  /// The netdev went away (PP-55): the pool is reported without it.
  void orphan() { parameters_.has_netdev = false; }

  // --- reading ---
  std::uint16_t id() const { return id_; }
  std::int32_t inflight() const { return static_cast<std::int32_t>(hold_cnt_ - release_cnt_); }  // PP-50
  std::uint32_t hold_cnt() const { return hold_cnt_; }
  std::uint32_t release_cnt() const { return release_cnt_; }
  std::uint32_t cache_count() const { return cache_count_; }  ///< place pool_cache
  std::uint32_t ring_count() const { return ring_.count(); }  ///< place pool_ring
  /// Pages out of the pool's hands: posted + held (PP-51).
  std::int32_t outside() const {
    return inflight() - static_cast<std::int32_t>(cache_count_) - static_cast<std::int32_t>(ring_.count());
  }
  const PtrRing& ring() const { return ring_; }
  int nid() const { return nid_; }
  const PagePoolParameters& parameters() const { return parameters_; }
  PagePoolStats stats;

  /// Fault: the next `count` DMA mappings fail.
  void fail_dma_maps(std::uint32_t count) { dma_map_failures_ = count; }

  /// Walks cache and ring and checks tags, owners and counts; throws BugError. For tests; slow.
  void verify() const;

 private:
  friend class PagePools;

  PageId pop_cache() {
    const PageId page = cache_[--cache_count_];
    leave_cache(pages_[page]);
    return page;
  }
  static void leave_cache(Page& record) {
    if (record.place != PagePlace::pool_cache) [[unlikely]] {
      page_bug("page_pool: a page in the alloc cache is tagged as elsewhere");
    }
    record.place = PagePlace::other;
  }
  void check_outside(PageId page) const {
    const Page& record = pages_[page];
    if (record.place < PagePlace::posted || record.pool != id_) [[unlikely]] {
      page_bug("page_pool: returned page is not out of this pool");
    }
  }
  bool recycle_in_cache(MemoryContext& ctx, PageId page) {  // PP-24
    if (cache_count_ == cache_size_) [[unlikely]] {
      ++stats.recycle_cache_full;
      return false;
    }
    push_cache(page);
    ++stats.recycle_cached;
    ctx.cost += price_cache_recycle_;
    return true;
  }
  void push_cache(PageId page) {
    pages_[page].place = PagePlace::pool_cache;
    cache_[cache_count_++] = page;
  }
  void sync_for_device(MemoryContext& ctx, std::int32_t dma_sync_size) {
    if (needs_sync_ && dma_sync_size != 0) {
      ++stats.dma_syncs;
      ctx.cost += prices_.dma_sync_for_device;
    }
  }

  bool unref_shared(Page& record, std::int64_t count);
  PageId alloc_refill(MemoryContext& ctx, Gfp flags);
  PageId refill_from_ring(MemoryContext& ctx);
  PageId alloc_slow(MemoryContext& ctx, Gfp flags);
  PageId alloc_high_order(MemoryContext& ctx, Gfp flags);
  std::uint32_t fetch(MemoryContext& ctx, Gfp flags, PageId* out, std::uint32_t count);
  std::uint32_t within_limit(std::uint32_t count);
  bool adopt(MemoryContext& ctx, PageId page);
  void recycle_in_ring(MemoryContext& ctx, PageId page);
  void recycle_ring_bulk(MemoryContext& ctx, const PageId* pages, std::uint32_t count);
  /// __page_pool_put_page for one page of a bulk: true when it still wants the ring.
  bool put_for_bulk(MemoryContext& ctx, PageId page, bool direct);
  void lock_producer(MemoryContext& ctx);
  void release_referenced(MemoryContext& ctx, PageId page);
  void release(MemoryContext& ctx, PageId page);
  void update_nid(MemoryContext& ctx, int new_nid);
  PageId drain_frag(MemoryContext& ctx);
  void free_frag(MemoryContext& ctx);
  void empty_cache(MemoryContext& ctx);
  void scrub(MemoryContext& ctx);
  std::int32_t count_left();

  // What the fast paths read stands together.
  std::unique_ptr<PageId[]> cache_;
  PageTable& pages_;
  std::uint32_t cache_count_ = 0;
  std::uint32_t cache_size_;
  const std::int32_t* napi_list_owner_;
  std::int32_t cpuid_;
  std::uint16_t id_;
  bool needs_sync_;
  bool has_provider_;
  Time price_cache_alloc_;
  Time price_cache_recycle_;
  const MemoryPrices& prices_;
  PtrRing ring_;
  std::uint16_t ring_lock_cpu_ = 0;
  std::uint32_t hold_cnt_ = 0;     ///< pages_state_hold_cnt
  std::uint32_t release_cnt_ = 0;  ///< pages_state_release_cnt
  int nid_;
  PageAllocator& allocator_;
  PagePoolParameters parameters_;

  PageId frag_page_ = no_page;
  std::uint32_t frag_offset_ = 0;
  std::int64_t frag_users_ = 0;

  std::uint32_t dma_mapped_ = 0;  ///< pages of this pool that are mapped
  std::uint32_t dma_map_failures_ = 0;
  std::uint32_t destroy_cnt_ = 0;
  bool detached_ = false;
  Time detach_time_;
  Time next_retry_ = Time::never();
  Time defer_warn_;
  StallWarning stall_warning_;
  std::uint32_t limit_ = 0;
  bool limit_is_absolute_ = false;
};

inline std::uint32_t PagePool::alloc_batch(MemoryContext& ctx, PageId* out, std::uint32_t count, Gfp flags) {
  std::uint32_t done = 0;
  while (done < count) {
    if (cache_count_ == 0) [[unlikely]] {
      out[done] = alloc_refill(ctx, flags);
      if (out[done] == no_page) {
        break;
      }
      ++done;
      continue;
    }
    const std::uint32_t taken = count - done < cache_count_ ? count - done : cache_count_;
    const PageId* top = cache_.get() + cache_count_;
    for (std::uint32_t i = 0; i < taken; ++i) {
      const PageId page = *--top;
      leave_cache(pages_[page]);
      out[done + i] = page;
    }
    cache_count_ -= taken;
    done += taken;
    stats.alloc_fast += taken;
    ctx.cost += price_cache_alloc_ * taken;
  }
  return done;
}

inline void PagePool::recycle_direct_batch(MemoryContext& ctx, const PageId* pages, std::uint32_t count) {
  std::uint32_t done = 0;
  while (done < count) {
    const std::uint32_t room = cache_size_ - cache_count_;
    const std::uint32_t end = count - done < room ? count : done + room;
    PageId* top = cache_.get() + cache_count_;
    const std::uint32_t first = done;
    for (; done < end; ++done) {
      Page& record = pages_[pages[done]];
      if (record.pp_ref_count != 1 || record.refcount != 1 || record.pfmemalloc() || record.pool != id_ ||
          record.place < PagePlace::posted) [[unlikely]] {
        break;
      }
      record.place = PagePlace::pool_cache;
      *top++ = pages[done];
    }
    const std::uint32_t pushed = done - first;
    cache_count_ += pushed;
    stats.recycle_cached += pushed;
    ctx.cost += price_cache_recycle_ * pushed;
    if (needs_sync_) {
      stats.dma_syncs += pushed;
      ctx.cost += prices_.dma_sync_for_device * pushed;
    }
    if (done < count) [[unlikely]] {
      recycle_direct(ctx, pages[done++]);  // shared, referenced elsewhere, or the cache is full
    }
  }
}

}  // namespace rxpool
