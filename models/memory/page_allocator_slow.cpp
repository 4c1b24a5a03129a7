// The allocator's slow path: reserves, kswapd wake-up, direct reclaim, OOM (PA-44, PA-50..53).

#include <algorithm>

#include "models/memory/page_allocator.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

constexpr unsigned costly_order = 3;  // PAGE_ALLOC_COSTLY_ORDER

// gfp_to_alloc_flags: which reserves the request may use.
AllocFlags slow_flags(Gfp flags, unsigned order) {
  AllocFlags result = alloc_flag::wmark_min;
  if ((flags & gfp::high) != 0) {
    result |= alloc_flag::min_reserve;
  }
  if ((flags & gfp::kswapd_reclaim) != 0) {
    result |= alloc_flag::kswapd;
  }
  if ((flags & gfp::direct_reclaim) == 0 && (flags & gfp::nomemalloc) == 0) {
    result |= alloc_flag::non_block;
    if (order > 0 && (flags & gfp::high) != 0) {
      result |= alloc_flag::highatomic;
    }
  }
  return result;
}

}  // namespace

PageId PageAllocator::alloc_slowpath(MemoryContext& ctx, const Request& request) {
  ctx.cost += prices_.alloc_slow_entry;
  const bool wakes = (request.flags & gfp::kswapd_reclaim) != 0;
  if (wakes) {
    wake_all_kswapds(ctx.now, request);
  }
  const AllocFlags flags = slow_flags(request.flags, request.order);
  PageId page = get_page_from_freelist(ctx, request, flags);
  const bool memalloc = (request.flags & gfp::memalloc) != 0 && (request.flags & gfp::nomemalloc) == 0;
  if (page == no_page && memalloc) {
    page = get_page_from_freelist(ctx, request, flags | alloc_flag::no_watermarks);
  }
  if (page == no_page && (request.flags & gfp::direct_reclaim) != 0 && !memalloc) {
    page = alloc_blocking(ctx, request, flags);
  }
  if (page == no_page) {
    ++stats.alloc_fail;
    if ((request.flags & gfp::nowarn) == 0) {
      ++stats.warn_alloc;
    }
  }
  return page;
}

// PA-52: reclaim, then drain the per-CPU lists, at most 16 rounds without progress, then OOM.
PageId PageAllocator::alloc_blocking(MemoryContext& ctx, const Request& request, AllocFlags flags) {
  unsigned no_progress_loops = 0;
  for (;;) {
    const std::uint64_t progress = direct_reclaim(ctx, request);
    PageId page = get_page_from_freelist(ctx, request, flags);
    if (page == no_page && progress > 0) {
      for (Zone& zone : zones_) {
        zone.unreserve_highatomic(ctx);
      }
      drain_all_pages(ctx);
      page = get_page_from_freelist(ctx, request, flags);
    }
    if (page != no_page) {
      return page;
    }
    if ((request.flags & gfp::noretry) != 0) {
      return no_page;
    }
    no_progress_loops = progress > 0 && request.order <= costly_order ? 0 : no_progress_loops + 1;
    if (no_progress_loops <= max_reclaim_retries) {
      if (progress > 0) {
        continue;
      }
      // Nothing can be reclaimed: should_reclaim_retry gives up early when even that would not reach the watermark.
      bool reserve_freed = false;
      for (Zone& zone : zones_) {
        reserve_freed = zone.unreserve_highatomic(ctx) || reserve_freed;
      }
      if (reserve_freed) {
        continue;
      }
    }
    if (request.order > costly_order || (request.flags & gfp::fs) == 0) {
      return no_page;
    }
    bool killed = false;
    page = alloc_may_oom(ctx, request, killed);
    if (page != no_page || !killed) {
      return page;
    }
    no_progress_loops = 0;
  }
}

std::uint64_t PageAllocator::direct_reclaim(MemoryContext& ctx, const Request& request) {
  ++stats.allocstall_normal;
  std::uint64_t freed = 0;
  for (unsigned node = 0; node < node_count_ && freed < swap_cluster_max; ++node) {
    const unsigned nearest = (request.nid + node) % node_count_;
    freed += reclaim_pages(ctx, nearest, swap_cluster_max);
  }
  stats.pgscan_direct += freed;
  stats.pgsteal_direct += freed;
  if (freed > 0) {
    for (auto& kswapd : kswapds_) {
      kswapd->note_progress();
    }
  }
  return freed;
}

std::uint32_t PageAllocator::reclaim_pages(MemoryContext& ctx, unsigned node, std::uint32_t pages) {
  std::uint32_t freed = 0;
  for (ReclaimSource* source : sources_) {
    if (freed >= pages) {
      break;
    }
    freed += source->reclaim(ctx, node, pages - freed);
  }
  ctx.cost += prices_.reclaim_page * freed;
  return freed;
}

// The last try needs the high watermark: somebody else may just have killed.
PageId PageAllocator::alloc_may_oom(MemoryContext& ctx, const Request& request, bool& killed) {
  PageId page = get_page_from_freelist(ctx, request, alloc_flag::wmark_high);
  if (page != no_page) {
    return page;
  }
  ReclaimSource* victim = nullptr;
  for (ReclaimSource* source : sources_) {
    if (source->oom_pages() > (victim == nullptr ? 0 : victim->oom_pages())) {
      victim = source;
    }
  }
  if (victim == nullptr) {
    return no_page;
  }
  ++stats.oom_kill;
  killed = true;
  ctx.cost += prices_.reclaim_page * static_cast<std::int64_t>(victim->oom_kill(ctx));
  return no_page;
}

void PageAllocator::wake_all_kswapds(Time now, const Request& request) {
  std::uint64_t woken = 0;
  for (const std::uint8_t index : zonelists_[request.nid]) {
    Zone& zone = zones_[index];
    if (zone.kind() <= request.highest && (woken & (1ULL << zone.node())) == 0) {
      woken |= 1ULL << zone.node();
      wake_kswapd(now, zone, request.order, request.highest);
    }
  }
}

void PageAllocator::wake_kswapd(Time now, Zone& zone, unsigned order, ZoneKind highest) {
  Kswapd& kswapd = *kswapds_[zone.node()];
  const Time before = kswapd.next_step();
  kswapd.wake(now, order, highest);
  if (listener_ != nullptr && kswapd.next_step() != before) {
    listener_->kswapd_woken(zone.node(), kswapd.next_step());
  }
}

}  // namespace rxpool
