#include "kernel/guest/rule_counts.hpp"

namespace rxpool::guest {
namespace {

constexpr const char* all_rules[] = {
    "PP-1  pool created, ring size taken over",
    "PP-4  more pages in flight than pool_size",
    "PP-10 fast",
    "PP-11 refill from the ring",
    "PP-11 waive: page of another node",
    "PP-12 empty",
    "PP-13 slow, order 0",
    "PP-13 slow, high order",
    "PP-13 bulk cut short",
    "PP-13 allocation failed",
    "PP-15 page entered a pool with DMA mapping",
    "PP-16 returned with DMA sync",
    "PP-20 last fragment of a shared page",
    "PP-21 explicit direct",
    "PP-21 implicit direct",
    "PP-21 not direct: bottom halves enabled",
    "PP-21 not direct: pool without NAPI",
    "PP-22 not direct: NAPI owned by another CPU or none",
    "PP-23 not recyclable: referenced",
    "PP-23 not recyclable: pfmemalloc",
    "PP-24 cached",
    "PP-24 cache full",
    "PP-25 ring",
    "PP-25 ring full",
    "PP-26 released",
    "PP-31 bulk return",
    "PP-31 bulk over several pools",
    "PP-32 bulk met a full ring",
    "PP-35 ring looks full with consumed slots",
    "PP-36 ring with batch 1 in use",
    "PP-40 node changed",
    "PP-45 fragment of the current page",
    "PP-45 current page drained",
    "PP-46 rest of the page given away",
    "PP-50 inflight read at release",
    "PP-52 destroyed at once",
    "PP-52 detached",
    "PP-52 retry, pages still out",
    "PP-52 retry, gone",
    "PP-54 page returned to a detached pool",
};

}  // namespace

void RuleCounts::created(const PoolLogOp&) {
  count("PP-1  pool created, ring size taken over");
}

void RuleCounts::bulk(const PoolLogBulk& bulk) {
  count("PP-31 bulk return");
  for (std::int32_t i = 1; i < bulk.op.argument && i < POOL_LOG_BULK; ++i) {
    if (bulk.items[i].pool != bulk.items[0].pool) {
      count("PP-31 bulk over several pools");
      return;
    }
  }
}

void RuleCounts::called(const PoolLogOp& op, const PoolLogCounts& before, const PoolLogCounts& after,
                        const PagePool& pool) {
  const std::uint32_t ring_size = pool.ring().size();
  const std::uint16_t flags = op.header.flags;
  count("PP-10 fast", after.fast - before.fast);
  count("PP-11 refill from the ring", after.refill - before.refill);
  count("PP-11 waive: page of another node", after.waive - before.waive);
  count("PP-12 empty", after.empty - before.empty);
  count("PP-13 slow, order 0", after.slow - before.slow);
  count("PP-13 slow, high order", after.slow_high_order - before.slow_high_order);
  if (after.slow != before.slow && after.hold - before.hold < 64) {
    count("PP-13 bulk cut short");
  }
  count("PP-24 cached", after.cached - before.cached);
  count("PP-24 cache full", after.cache_full - before.cache_full);
  count("PP-25 ring", after.recycled_ring - before.recycled_ring);
  count("PP-25 ring full", after.ring_full - before.ring_full);
  count("PP-26 released", after.release - before.release);
  if (pool.parameters().dma_map) {
    count("PP-15 page entered a pool with DMA mapping", after.hold - before.hold);
  }
  if (pool.parameters().dma_sync_dev && op.header.kind == POOL_LOG_PUT && op.argument != 0) {
    count("PP-16 returned with DMA sync");
  }
  if (after.hold - after.release > ring_size) {
    count("PP-4  more pages in flight than pool_size");
  }
  if (after.looks_full != 0 && after.ring < ring_size) {
    count("PP-35 ring looks full with consumed slots");
  }
  if (ring_size < 32 && after.recycled_ring != before.recycled_ring) {
    count("PP-36 ring with batch 1 in use");
  }
  switch (op.header.kind) {
    case POOL_LOG_ALLOC:
      if (op.header.page == 0) {
        count("PP-13 allocation failed");
      }
      break;
    case POOL_LOG_ALLOC_FRAG:
      count(op.frag_page != 0 && op.frag_page == op.header.page && op.result_offset != 0
                ? "PP-45 fragment of the current page"
                : "PP-45 current page drained");
      break;
    case POOL_LOG_PUT:
      if ((flags & POOL_LOG_ALLOW_DIRECT) != 0) {
        count("PP-21 explicit direct");
      } else if (after.cached != before.cached) {
        count("PP-21 implicit direct");
      } else if ((flags & POOL_LOG_IN_SOFTIRQ) == 0) {
        count("PP-21 not direct: bottom halves enabled");
      } else if ((flags & POOL_LOG_HAS_NAPI) == 0) {
        count("PP-21 not direct: pool without NAPI");
      } else {
        count("PP-22 not direct: NAPI owned by another CPU or none");
      }
      if (after.released_refcnt != before.released_refcnt) {
        count((flags & POOL_LOG_PFMEMALLOC) != 0 ? "PP-23 not recyclable: pfmemalloc"
                                                 : "PP-23 not recyclable: referenced");
      }
      break;
    case POOL_LOG_PUT_BULK:
      if (after.released_refcnt != before.released_refcnt) {
        count("PP-23 not recyclable: referenced");
      }
      if (after.ring_full != before.ring_full) {
        count("PP-32 bulk met a full ring");
      }
      break;
    case POOL_LOG_UPDATE_NID:
      count("PP-40 node changed");
      break;
    default:
      break;
  }
}

std::map<std::string, std::uint64_t> RuleCounts::table() const {
  std::map<std::string, std::uint64_t> rows = counts_;
  for (const char* rule : all_rules) {
    rows.try_emplace(rule, 0);
  }
  return rows;
}

}  // namespace rxpool::guest
