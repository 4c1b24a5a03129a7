// What each call of the log does to the model.

#include <algorithm>
#include <utility>

#include "kernel/guest/lockstep.hpp"

namespace rxpool::guest {

MemoryContext context_of(const PoolLogOp& op) {
  MemoryContext ctx;
  ctx.cpu = op.header.cpu;
  ctx.node = static_cast<std::uint8_t>(op.numa_mem);
  ctx.in_softirq = (op.header.flags & POOL_LOG_IN_SOFTIRQ) != 0;
  ctx.now = nanoseconds(static_cast<std::int64_t>(op.header.time_ns));
  return ctx;
}

// By the model's own limit, which cuts a bulk in the same place as an empty zone does.
void Lockstep::limit_as_memory_did(Pool& pool, const PoolLogOp& op) {
  constexpr std::uint32_t whole_bulk = 64;
  const auto bulk = bulks_.find(&op);
  const std::uint32_t got = bulk == bulks_.end() ? 0 : bulk->second;
  if (got == whole_bulk || pool.model->parameters().order != 0) {
    return;
  }
  const auto waived = static_cast<std::int32_t>(op.counts.waive - pool.model->stats.alloc_waive);
  const std::int32_t limit = pool.model->inflight() - waived + static_cast<std::int32_t>(got);
  pool.model->set_limit(static_cast<std::uint32_t>(std::max(limit, 0)), true);
}

void Lockstep::apply(Pool& pool, const PoolLogOp& op) {
  MemoryContext ctx = context_of(op);
  const PoolLogCounts before = counts_of(*pool.model);
  const bool detached = pool.model->detached();
  pool.list_owner = op.list_owner;
  switch (op.header.kind) {
    case POOL_LOG_ALLOC:
      limit_as_memory_did(pool, op);
      check_handed_out(op, pool.model->alloc(ctx));
      pool.model->set_limit(0, false);
      break;
    case POOL_LOG_ALLOC_FRAG:
      limit_as_memory_did(pool, op);
      alloc_frag(pool, op, ctx);
      pool.model->set_limit(0, false);
      break;
    case POOL_LOG_PUT:
      put(pool, op, ctx);
      break;
    case POOL_LOG_PUT_BULK:
      put_bulk(reinterpret_cast<const PoolLogBulk&>(op), ctx);
      break;
    case POOL_LOG_UPDATE_NID:
      pool.model->nid_changed(ctx, op.argument);
      break;
    case POOL_LOG_DISABLE_DIRECT:
      pool.model->disable_direct_recycling();
      break;
    default:
      break;
  }
  report_.rules.called(op, before, counts_of(*pool.model), *pool.model);
  if (detached && (op.header.kind == POOL_LOG_PUT || op.header.kind == POOL_LOG_PUT_BULK)) {
    report_.rules.count("PP-54 page returned to a detached pool");
  }
}

PageId Lockstep::model_page(const PoolLogOp& op, std::uint32_t kernel_page) {
  const auto found = to_model_.find(kernel_page);
  if (found == to_model_.end()) {
    differ(op, "the kernel returns a page that the model never handed out");
    return no_page;
  }
  return found->second;
}

void Lockstep::set_references(PageId page, std::uint32_t refcount, std::uint32_t flags, std::int64_t pp_ref_count) {
  Page& record = allocator_.page(page);
  record.refcount = static_cast<std::uint16_t>(refcount);
  record.pp_ref_count = pp_ref_count;
  record.flags = static_cast<std::uint8_t>((record.flags & ~page_flag::pfmemalloc) |
                                           ((flags & POOL_LOG_PFMEMALLOC) != 0 ? page_flag::pfmemalloc : 0));
}

// A page that left the pool while somebody else held it is freed here at once; its later life is not the pool's.
void Lockstep::put(Pool& pool, const PoolLogOp& op, MemoryContext& ctx) {
  const PageId page = model_page(op, op.header.page);
  if (page == no_page) {
    return;
  }
  if (allocator_.page(page).pp_ref_count != 1) {
    report_.rules.count("PP-20 last fragment of a shared page");
  }
  set_references(page, op.refcount, op.header.flags, 1);
  pool.model->put_unrefed_page(ctx, page, op.argument, (op.header.flags & POOL_LOG_ALLOW_DIRECT) != 0);
  for (std::uint32_t i = 1; i < op.refcount && allocator_.page(page).pool == 0; ++i) {
    allocator_.put_page(ctx, page);
  }
}

void Lockstep::put_bulk(const PoolLogBulk& bulk, MemoryContext& ctx) {
  report_.rules.bulk(bulk);
  PageId pages[POOL_LOG_BULK];
  std::uint32_t count = 0;
  std::vector<std::pair<PageId, std::uint32_t>> extra;
  for (std::int32_t i = 0; i < bulk.op.argument && i < POOL_LOG_BULK; ++i) {
    const PoolLogItem& item = bulk.items[i];
    const PageId page = model_page(bulk.op, item.page);
    if (page != no_page) {
      set_references(page, item.refcount, item.flags, item.pp_ref_count);
      extra.emplace_back(page, item.refcount);
      pages[count++] = page;
    }
  }
  pools_.put_netmem_bulk(ctx, std::span<PageId>(pages, count));
  for (const auto& [page, refcount] : extra) {
    for (std::uint32_t i = 1; i < refcount && allocator_.page(page).pool == 0; ++i) {
      allocator_.put_page(ctx, page);
    }
  }
}

void Lockstep::alloc_frag(Pool& pool, const PoolLogOp& op, MemoryContext& ctx) {
  if (op.frag_page != 0) {
    const PageId current = model_page(op, op.frag_page);
    if (current == no_page) {
      return;
    }
    if (allocator_.page(current).pp_ref_count < op.pp_ref_count) {
      differ(op, "the current page has fewer users in the model");
    }
    set_references(current, op.refcount, op.header.flags, op.pp_ref_count);
  }
  // Every caller in the guest is page_pool_alloc, which gives the rest of the page away when it is of no more use
  // (PP-46).
  std::uint32_t offset = 0;
  auto size = static_cast<std::uint32_t>(op.argument);
  const PageId page = pool.model->alloc_va(ctx, offset, size);
  if (size > static_cast<std::uint32_t>(op.argument)) {
    report_.rules.count("PP-46 rest of the page given away");
  }
  check_handed_out(op, page);
  if (page != no_page && offset != op.result_offset) {
    differ(op, "offset " + std::to_string(offset) + " kernel " + std::to_string(op.result_offset));
  }
}

}  // namespace rxpool::guest
