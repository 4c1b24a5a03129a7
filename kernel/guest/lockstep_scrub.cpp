// The end of a pool, page by page: what interrupts return meanwhile finds the room that has been made so far.

#include <algorithm>

#include "kernel/guest/lockstep.hpp"

namespace rxpool::guest {
namespace {

bool is_destroy(const PoolLogOp& op) {
  return (op.header.flags & POOL_LOG_DESTROYING) != 0;
}

// Pages of the pool of which a return drops the last share.
std::int32_t brought_back(const PoolLogOp& op) {
  if (op.header.kind == POOL_LOG_PUT) {
    return 1;
  }
  const auto& bulk = reinterpret_cast<const PoolLogBulk&>(op);
  const auto* end = bulk.items + std::clamp(op.argument, 0, POOL_LOG_BULK);
  return static_cast<std::int32_t>(std::count_if(
      bulk.items, end, [&](const PoolLogItem& item) { return item.pool == op.header.pool && item.pp_ref_count == 1; }));
}

}  // namespace

void Lockstep::begin_scrub(Pool& pool, const PoolLogOp& op) {
  MemoryContext ctx = context_of(op);
  pool.scrub = {.op = &op};
  if (!is_destroy(op)) {
    // The kernel counts the second in ticks, which lag behind its clock while the host gives the guest no CPU.
    if (ctx.now + milliseconds(500) < pool.model->next_retry()) {
      differ(op, "retry before it is due");
    }
    pool.model->begin_retry(ctx);
    pool.scrub.left = pool.model->inflight();
    return;
  }
  if (op.frag_page != 0) {
    const PageId current = model_page(op, op.frag_page);
    if (current != no_page) {
      set_references(current, op.refcount, op.header.flags, op.pp_ref_count);
    }
  }
  pool.model->begin_destroy(ctx);
  pool.scrub.left = pool.model->inflight();
}

// The kernel released a page: the scrub's if no other call interrupts it there.
void Lockstep::step_scrub(const PoolLogHold& crossing) {
  Pool& pool = *known_.at(crossing.header.pool);
  Scrub& scrub = pool.scrub;
  if (scrub.op == nullptr || on_cpu_[crossing.header.cpu].empty() || on_cpu_[crossing.header.cpu].back() != scrub.op) {
    return;
  }
  if (scrub.ahead) {
    scrub.ahead = false;
    return;
  }
  if (scrub.taken == no_page) {
    scrub.taken = pool.model->take_scrubbed();
  }
  if (scrub.taken == no_page) {
    differ(*scrub.op, "nothing left to release");
    return;
  }
  release_scrubbed(pool);
}

void Lockstep::release_scrubbed(Pool& pool) {
  MemoryContext ctx = context_of(*pool.scrub.op);
  pool.model->release_scrubbed(ctx, pool.scrub.taken);
  pool.scrub.taken = no_page;
  pool.scrub.returned = 0;
  pool.scrub.left = pool.model->inflight();
  report_.rules.count("PP-26 released");
}

// A return that interrupts a scrub tells by its counts where: before the next page was taken, after that, or when it
// was released but its record not yet written.
void Lockstep::follow_scrub(Pool& pool, const PoolLogOp& op) {
  Scrub& scrub = pool.scrub;
  if (scrub.op == nullptr || (op.header.kind != POOL_LOG_PUT && op.header.kind != POOL_LOG_PUT_BULK)) {
    return;
  }
  const std::int32_t brought = brought_back(op);
  const PoolLogCounts model = counts_of(*pool.model);
  const std::int32_t back = home(op.counts) - home(model);
  const bool has_room = pool.model->ring().has_room(static_cast<std::uint32_t>(brought));
  const std::uint32_t refused =
      op.counts.released_refcnt - model.released_refcnt + op.counts.ring_full - model.ring_full;
  const std::uint32_t released = op.counts.release - model.release;
  const bool one_more = refused == 0 ? released > 0 || !has_room : released > static_cast<std::uint32_t>(brought);
  if (scrub.taken == no_page && back < brought) {
    scrub.taken = pool.model->take_scrubbed();
  } else if (scrub.taken != no_page && back > brought) {
    release_scrubbed(pool);
    scrub.ahead = true;
  } else if (scrub.taken == no_page && !scrub.ahead && one_more) {
    scrub.taken = pool.model->take_scrubbed();
    release_scrubbed(pool);
    scrub.ahead = true;
  }
  scrub.returned += static_cast<std::uint32_t>(brought);
}

void Lockstep::end_scrub(Pool& pool, const PoolLogOp& op) {
  MemoryContext ctx = context_of(op);
  const Scrub scrub = pool.scrub;
  pool.scrub = {};
  const std::uint32_t left = pool.model->cache_count() + pool.model->ring_count();
  if (scrub.taken != no_page || left > scrub.returned) {
    differ(op, std::to_string(left) + " pages left, of which " + std::to_string(scrub.returned) + " came late");
  }
  const bool gone = is_destroy(op) ? pool.model->end_destroy(ctx) : pool.model->end_retry(ctx);
  // The kernel reads it before it comes back: a full ring may have let more go since.
  if (gone != (op.argument == 0) || op.argument < pool.model->inflight() || op.argument > scrub.left) {
    differ(op, "inflight " + std::to_string(pool.model->inflight()) + " kernel " + std::to_string(op.argument));
  }
  report_.rules.count("PP-50 inflight read at release");
  report_.rules.count(is_destroy(op) ? (gone ? "PP-52 destroyed at once" : "PP-52 detached")
                                     : (gone ? "PP-52 retry, gone" : "PP-52 retry, pages still out"));
}

}  // namespace rxpool::guest
