#include "kernel/guest/lockstep.hpp"

#include <algorithm>
#include <cstring>

#include "sim/error.hpp"

namespace rxpool::guest {
namespace {

constexpr std::uint64_t node_bytes = 1ULL << 30;  // far more than the guest's pools ever hold
constexpr std::size_t kept_differences = 20;

MemoryParameters parameters(KernelRelease release, std::uint16_t cpus) {
  MemoryParameters result;
  result.release = release;
  for (std::uint16_t cpu = 0; cpu < cpus; ++cpu) {
    result.nodes.push_back({.zones = {{.kind = ZoneKind::normal, .bytes = node_bytes}}});
    result.cpu_node.push_back(static_cast<std::uint8_t>(cpu));
  }
  return result;
}

struct NamedCount {
  const char* name;
  std::uint32_t PoolLogCounts::* value;
};
constexpr NamedCount named_counts[] = {
    {"hold", &PoolLogCounts::hold},
    {"release", &PoolLogCounts::release},
    {"cache", &PoolLogCounts::cache},
    {"ring", &PoolLogCounts::ring},
    {"alloc_fast", &PoolLogCounts::fast},
    {"alloc_slow", &PoolLogCounts::slow},
    {"alloc_slow_high_order", &PoolLogCounts::slow_high_order},
    {"alloc_empty", &PoolLogCounts::empty},
    {"alloc_refill", &PoolLogCounts::refill},
    {"alloc_waive", &PoolLogCounts::waive},
    {"recycle_cached", &PoolLogCounts::cached},
    {"recycle_cache_full", &PoolLogCounts::cache_full},
    {"recycle_ring", &PoolLogCounts::recycled_ring},
    {"recycle_ring_full", &PoolLogCounts::ring_full},
    {"recycle_released_refcnt", &PoolLogCounts::released_refcnt},
    {"looks_full", &PoolLogCounts::looks_full},
};

}  // namespace

PoolLogCounts counts_of(const PagePool& pool) {
  const PagePoolStats& s = pool.stats;
  const auto u32 = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
  return {.hold = pool.hold_cnt(),
          .release = pool.release_cnt(),
          .cache = pool.cache_count(),
          .ring = pool.ring_count(),
          .fast = u32(s.alloc_fast),
          .slow = u32(s.alloc_slow),
          .slow_high_order = u32(s.alloc_slow_high_order),
          .empty = u32(s.alloc_empty),
          .refill = u32(s.alloc_refill),
          .waive = u32(s.alloc_waive),
          .cached = u32(s.recycle_cached),
          .cache_full = u32(s.recycle_cache_full),
          .recycled_ring = u32(s.recycle_ring),
          .ring_full = u32(s.recycle_ring_full),
          .released_refcnt = u32(s.recycle_released_refcnt),
          .looks_full = pool.ring().looks_full() ? 1U : 0U};
}

std::int32_t home(const PoolLogCounts& counts) {
  return static_cast<std::int32_t>(counts.cache + counts.ring + counts.release - counts.hold);
}

Lockstep::Lockstep(KernelRelease release, std::uint16_t cpus)
    : allocator_(parameters(release, cpus), MemoryPrices{}), pools_(allocator_) {}

LockstepReport Lockstep::replay(std::span<const std::uint8_t> log) {
  const std::vector<Event> events = read(log);
  find_unordered(events);
  find_incomplete(events);
  find_short_bulks(events);
  for (const Event& event : events) {
    if (is_crossing(*event.header)) {
      const auto& crossing = *reinterpret_cast<const PoolLogHold*>(event.header);
      if (event.header->kind == POOL_LOG_HOLD) {
        forget(event.header->page);
        node_of_[event.header->page] = crossing.node;
      } else if (known_.contains(event.header->pool)) {
        released_.push_back(&crossing);
        step_scrub(crossing);
      }
      continue;
    }
    const auto& op = *reinterpret_cast<const PoolLogOp*>(event.header);
    if (event.enter) {
      on_cpu_[op.header.cpu].push_back(&op);
      enter(op);
    } else {
      std::erase(on_cpu_[op.header.cpu], &op);
      leave(op);
    }
  }
  return report_;
}

void Lockstep::enter(const PoolLogOp& op) {
  const auto found = known_.find(op.header.pool);
  if (found == known_.end()) {
    return;
  }
  Pool& pool = *found->second;
  ++pool.inside;
  if (op.header.kind == POOL_LOG_SCRUB) {
    begin_scrub(pool, op);
  } else {
    pool.open.push_back(&op);
  }
}

void Lockstep::leave(const PoolLogOp& op) {
  if (unordered_.contains(op.header.pool)) {
    ++report_.set_aside;
    return;
  }
  if (op.header.kind == POOL_LOG_CREATE) {
    create(op);
    return;
  }
  const auto found = known_.find(op.header.pool);
  if (found == known_.end()) {
    ++report_.foreign;
    return;
  }
  Pool& pool = *found->second;
  ++report_.operations;
  report_.beside += (op.header.flags & POOL_LOG_BESIDE) != 0;
  --pool.inside;
  if (op.header.kind == POOL_LOG_SCRUB) {
    end_scrub(pool, op);
  } else if (const auto open = std::find(pool.open.begin(), pool.open.end(), &op); open != pool.open.end()) {
    pool.open.erase(open);
    apply_interrupted(pool, op);
    follow_scrub(pool, op);
    apply(pool, op);
  }
  if (op.header.kind == POOL_LOG_DESTROY) {
    ++report_.exact;  // its effect is in the scrub inside it
    return;
  }
  const bool last = op.header.kind == POOL_LOG_SCRUB && op.argument == 0;
  // A scrub that finds nothing in flight frees the pool before the probe can read it; end_scrub() has compared
  // inflight.
  std::string difference = last ? std::string() : compare(op, counts_as_kernel(*pool.model));
  // An open call of another context may have had its effect already.
  for (std::size_t i = 0; !difference.empty() && i < pool.open.size();) {
    const PoolLogOp* other = pool.open[i];
    if (other->header.kind == POOL_LOG_PUT) {
      pool.open.erase(pool.open.begin() + static_cast<std::ptrdiff_t>(i));
      apply(pool, *other);
      difference = compare(op, counts_as_kernel(*pool.model));
    } else {
      ++i;
    }
  }
  if (difference.empty()) {
    report_.exact += 1;
    report_.settled += pool.unsettled;
    pool.unsettled = 0;
  } else if (may_settle_later(pool)) {
    ++pool.unsettled;
  } else {
    differ(op, difference);
    ++report_.settled;
  }
  if (pool.inside == 0 || last) {
    check_released(pool, op);
  }
  if (last) {
    known_.erase(found);
  }
}

// Other calls of the pool are open, whose effects this one's counts may or may not contain. A scrub in progress is
// known page by page.
bool Lockstep::may_settle_later(const Pool& pool) {
  return pool.inside > 0 &&
         (pool.scrub.op == nullptr || std::any_of(pool.open.begin(), pool.open.end(), [](const PoolLogOp* open) {
            return open->header.kind != POOL_LOG_DESTROY && open->header.kind != POOL_LOG_RETRY;
          }));
}

// A return that this call interrupted may have had its effect before: then more pages are back than this call explains.
void Lockstep::apply_interrupted(Pool& pool, const PoolLogOp& op) {
  const bool put = op.header.kind == POOL_LOG_PUT;
  if (!put && (op.header.kind != POOL_LOG_ALLOC || op.header.page == 0)) {
    return;
  }
  while (home(op.counts) - home(counts_of(*pool.model)) > (put ? 1 : -1)) {
    const auto other = std::find_if(pool.open.begin(), pool.open.end(),
                                    [](const PoolLogOp* open) { return open->header.kind == POOL_LOG_PUT; });
    if (other == pool.open.end()) {
      return;
    }
    const PoolLogOp* interrupted = *other;
    pool.open.erase(other);
    apply(pool, *interrupted);
    early_[interrupted] = counts_as_kernel(*pool.model);
  }
}

void Lockstep::create(const PoolLogOp& op) {
  ++report_.operations;
  ++report_.exact;
  ++report_.pools;
  report_.rules.created(op);
  auto pool = std::make_unique<Pool>();
  PagePoolParameters given;
  given.order = static_cast<std::uint8_t>(op.order);
  given.pool_size = op.pool_size;
  given.nid = op.nid;
  given.cpuid = op.cpuid;
  given.napi_list_owner = &pool->list_owner;
  given.dma_map = (op.header.flags & POOL_LOG_DMA_MAP) != 0;
  given.dma_sync_dev = (op.header.flags & POOL_LOG_DMA_SYNC) != 0;
  given.max_len = given.dma_sync_dev ? page_bytes : 0;
  pool->model = &pools_.create(given);
  if (pool->model->ring().size() != static_cast<std::uint32_t>(op.argument)) {
    differ(op,
           "ring of " + std::to_string(pool->model->ring().size()) + " slots, kernel " + std::to_string(op.argument));
  }
  known_[op.header.pool] = std::move(pool);
}

// The pools that the CPUs have since boot count their returns together (net/core/page_pool.c: pp_system_recycle_stats).
PoolLogCounts Lockstep::counts_as_kernel(const PagePool& pool) const {
  PoolLogCounts sum = counts_of(pool);
  if (pool.parameters().cpuid < 0) {
    return sum;
  }
  for (const auto& [id, other] : known_) {
    if (other->model != &pool && other->model->parameters().cpuid >= 0) {
      const PoolLogCounts more = counts_of(*other->model);
      sum.cached += more.cached;
      sum.cache_full += more.cache_full;
      sum.recycled_ring += more.recycled_ring;
      sum.ring_full += more.ring_full;
      sum.released_refcnt += more.released_refcnt;
    }
  }
  return sum;
}

// Of a call whose effect came before another one's, the counts may have been read before, after or during that one.
std::string Lockstep::compare(const PoolLogOp& op, const PoolLogCounts& model) const {
  const auto found = early_.find(&op);
  const PoolLogCounts& early = found == early_.end() ? model : found->second;
  std::string text;
  for (const NamedCount& count : named_counts) {
    const std::uint32_t kernel = op.counts.*count.value;
    if (kernel != model.*count.value && kernel != early.*count.value) {
      text += std::string(text.empty() ? "" : ", ") + count.name + " " + std::to_string(model.*count.value) +
              " kernel " + std::to_string(kernel);
    }
  }
  return text;
}

void Lockstep::differ(const PoolLogOp& op, const std::string& what) {
  static constexpr const char* kinds[] = {"?",          "create",         "alloc",   "alloc_frag", "put",  "bulk",
                                          "update_nid", "disable_direct", "destroy", "retry",      "scrub"};
  ++report_.differences;
  if (report_.first_differences.size() < kept_differences) {
    report_.first_differences.push_back("number " + std::to_string(op.header.enter_seq) + ", pool " +
                                        std::to_string(op.header.pool) + ", " + kinds[op.header.kind] + " on CPU " +
                                        std::to_string(op.header.cpu) + ": model " + what);
  }
}

}  // namespace rxpool::guest
