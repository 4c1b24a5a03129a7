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

bool is_crossing(const PoolLogHeader& header) {
  return header.kind == POOL_LOG_HOLD || header.kind == POOL_LOG_RELEASE;
}

MemoryContext context(const PoolLogOp& op) {
  MemoryContext ctx;
  ctx.cpu = op.header.cpu;
  ctx.node = static_cast<std::uint8_t>(op.numa_mem);
  ctx.in_softirq = (op.header.flags & POOL_LOG_IN_SOFTIRQ) != 0;
  ctx.now = nanoseconds(static_cast<std::int64_t>(op.header.time_ns));
  return ctx;
}

}  // namespace

Lockstep::Lockstep(KernelRelease release, std::uint16_t cpus)
    : allocator_(parameters(release, cpus), MemoryPrices{}), pools_(allocator_) {}

std::vector<Lockstep::Event> Lockstep::read(std::span<const std::uint8_t> log) const {
  std::vector<Event> events;
  for (std::size_t at = 0; at + sizeof(PoolLogHeader) <= log.size();) {
    const auto* header = reinterpret_cast<const PoolLogHeader*>(log.data() + at);
    if (header->size == 0) {
      break;
    }
    if (header->size < sizeof(PoolLogHeader) || header->size % 8 != 0 || at + header->size > log.size() ||
        header->kind < POOL_LOG_CREATE || header->kind > POOL_LOG_RELEASE) {
      throw InputError("page_pool log: no record at byte " + std::to_string(at));
    }
    if (!is_crossing(*header)) {
      events.push_back({.seq = header->enter_seq, .header = header, .enter = true});
    }
    events.push_back({.seq = header->exit_seq, .header = header, .enter = false});
    at += header->size;
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.seq < b.seq; });
  for (std::size_t i = 1; i < events.size(); ++i) {
    if (events[i].seq != events[i - 1].seq + 1) {
      throw InputError("page_pool log: a record is missing after number " + std::to_string(events[i - 1].seq));
    }
  }
  return events;
}

LockstepReport Lockstep::replay(std::span<const std::uint8_t> log) {
  for (const Event& event : read(log)) {
    if (is_crossing(*event.header)) {
      const auto& crossing = *reinterpret_cast<const PoolLogHold*>(event.header);
      if (event.header->kind == POOL_LOG_HOLD) {
        forget(event.header->page);
        node_of_[event.header->page] = crossing.node;
      } else if (known_.contains(event.header->pool)) {
        released_.push_back(&crossing);
      }
      continue;
    }
    const auto& op = *reinterpret_cast<const PoolLogOp*>(event.header);
    if (event.enter) {
      enter(op);
    } else {
      leave(op);
    }
  }
  return report_;
}

void Lockstep::enter(const PoolLogOp& op) {
  if (const auto found = known_.find(op.header.pool); found != known_.end()) {
    found->second->open.push_back(&op);
    ++found->second->inside;
  }
}

void Lockstep::leave(const PoolLogOp& op) {
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
  --pool.inside;
  if (const auto open = std::find(pool.open.begin(), pool.open.end(), &op); open != pool.open.end()) {
    pool.open.erase(open);
    apply_interrupted(pool, op);
    apply(pool, op);
  }
  if (op.header.kind == POOL_LOG_DESTROY) {
    ++report_.exact;  // its effect is in the scrub inside it
    return;
  }
  const bool last = op.header.kind == POOL_LOG_SCRUB && op.argument == 0;
  // A scrub that finds nothing in flight frees the pool before the probe can read it; scrub() has compared inflight.
  std::string difference = last ? std::string() : compare(pool, op.counts);
  // An open call of another context may have had its effect already.
  for (std::size_t i = 0; !difference.empty() && i < pool.open.size();) {
    const PoolLogOp* other = pool.open[i];
    if (other->header.kind == POOL_LOG_PUT) {
      pool.open.erase(pool.open.begin() + static_cast<std::ptrdiff_t>(i));
      apply(pool, *other);
      difference = compare(pool, op.counts);
    } else {
      ++i;
    }
  }
  if (difference.empty()) {
    report_.exact += 1;
    report_.settled += pool.unsettled;
    pool.unsettled = 0;
  } else if (pool.inside > 0) {
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

// A return that this call interrupted may have had its effect before: then more pages are back than this call explains.
void Lockstep::apply_interrupted(Pool& pool, const PoolLogOp& op) {
  const bool put = op.header.kind == POOL_LOG_PUT;
  if (!put && (op.header.kind != POOL_LOG_ALLOC || op.header.page == 0)) {
    return;
  }
  const auto home = [](const PoolLogCounts& c) {
    return static_cast<std::int32_t>(c.cache + c.ring + c.release - c.hold);
  };
  while (home(op.counts) - home(counts_of(*pool.model)) > (put ? 1 : -1)) {
    const auto other = std::find_if(pool.open.begin(), pool.open.end(),
                                    [](const PoolLogOp* open) { return open->header.kind == POOL_LOG_PUT; });
    if (other == pool.open.end()) {
      return;
    }
    const PoolLogOp* interrupted = *other;
    pool.open.erase(other);
    apply(pool, *interrupted);
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
    differ(op, "ring of " + std::to_string(pool->model->ring().size()) + " slots, kernel " + std::to_string(op.argument));
  }
  known_[op.header.pool] = std::move(pool);
}

std::string Lockstep::compare(const Pool& pool, const PoolLogCounts& counts) const {
  const PoolLogCounts model = counts_of(*pool.model);
  std::string text;
  for (const NamedCount& count : named_counts) {
    if (model.*count.value != counts.*count.value) {
      text += std::string(text.empty() ? "" : ", ") + count.name + " " + std::to_string(model.*count.value) + " kernel " +
              std::to_string(counts.*count.value);
    }
  }
  return text;
}

void Lockstep::apply(Pool& pool, const PoolLogOp& op) {
  MemoryContext ctx = context(op);
  const PoolLogCounts before = counts_of(*pool.model);
  const bool detached = pool.model->detached();
  pool.list_owner = op.list_owner;
  switch (op.header.kind) {
    case POOL_LOG_ALLOC:
      check_handed_out(op, pool.model->alloc(ctx));
      break;
    case POOL_LOG_ALLOC_FRAG:
      alloc_frag(pool, op, ctx);
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
    case POOL_LOG_SCRUB:
      scrub(pool, op, ctx);
      break;
    default:
      break;
  }
  report_.rules.called(op, before, counts_of(*pool.model), *pool.model);
  if (detached && (op.header.kind == POOL_LOG_PUT || op.header.kind == POOL_LOG_PUT_BULK)) {
    report_.rules.count("PP-54 page returned to a detached pool");
  }
}

void Lockstep::scrub(Pool& pool, const PoolLogOp& op, MemoryContext& ctx) {
  const bool destroy = (op.header.flags & POOL_LOG_DESTROYING) != 0;
  if (destroy && op.frag_page != 0) {
    const PageId current = model_page(op, op.frag_page);
    if (current == no_page) {
      return;
    }
    set_references(current, op.refcount, op.header.flags, op.pp_ref_count);
  }
  // The kernel counts the second in ticks, which lag behind its clock while the host gives the guest no CPU.
  if (!destroy && ctx.now + milliseconds(500) < pool.model->next_retry()) {
    differ(op, "retry before it is due");
  }
  const bool gone = destroy ? pool.model->destroy(ctx) : pool.model->release_retry(ctx);
  if (gone != (op.argument == 0) || pool.model->inflight() != op.argument) {
    differ(op, "inflight " + std::to_string(pool.model->inflight()) + " kernel " + std::to_string(op.argument));
  }
  report_.rules.count("PP-50 inflight read at release");
  report_.rules.count(destroy ? (gone ? "PP-52 destroyed at once" : "PP-52 detached")
                              : (gone ? "PP-52 retry, gone" : "PP-52 retry, pages still out"));
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
  // Every caller in the guest is page_pool_alloc, which gives the rest of the page away when it is of no more use (PP-46).
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

// A fresh page gets its kernel name when it is handed out first; from then on the names must agree.
void Lockstep::check_handed_out(const PoolLogOp& op, PageId page) {
  const std::uint32_t kernel_page = op.header.page;
  if ((page == no_page) != (kernel_page == 0)) {
    differ(op, page == no_page ? "the model has no page" : "the kernel has no page");
    return;
  }
  if (page == no_page) {
    return;
  }
  auto named = to_kernel_.find(page);
  if (named != to_kernel_.end() && std::any_of(released_.begin(), released_.end(), [&](const PoolLogHold* crossing) {
        return crossing->header.page == named->second;
      })) {
    forget(named->second);  // released by both, and here once more before its old pool was quiet
    named = to_kernel_.end();
  }
  const auto known = to_model_.find(kernel_page);
  if (named == to_kernel_.end() && known == to_model_.end()) {
    to_kernel_[page] = kernel_page;
    to_model_[kernel_page] = page;
    ++report_.pages_bound;
    if (const auto node = node_of_.find(kernel_page);
        node == node_of_.end() || node->second != allocator_.page(page).node) {
      differ(op, "page of node " + std::to_string(allocator_.page(page).node) + ", kernel " +
                     (node == node_of_.end() ? "unknown" : std::to_string(node->second)));
    }
    return;
  }
  if (named == to_kernel_.end() || named->second != kernel_page) {
    differ(op, "another page than the kernel's");
    // The two change names, so that one difference is one difference.
    const std::uint32_t was = named == to_kernel_.end() ? 0 : named->second;
    const PageId other = known == to_model_.end() ? no_page : known->second;
    to_kernel_[page] = kernel_page;
    to_model_[kernel_page] = page;
    if (was != 0 && other != no_page) {
      to_kernel_[other] = was;
      to_model_[was] = other;
    } else if (was != 0) {
      to_model_.erase(was);
    } else if (other != no_page) {
      to_kernel_.erase(other);
    }
  }
}

// Pages that the kernel let go must be gone from the model as well; then their names are free.
void Lockstep::check_released(Pool& pool, const PoolLogOp& op) {
  std::erase_if(released_, [&](const PoolLogHold* crossing) {
    if (crossing->header.pool != op.header.pool) {
      return false;
    }
    if (const auto known = to_model_.find(crossing->header.page);
        known != to_model_.end() && allocator_.page(known->second).pool == pool.model->id()) {
      differ(op, "the kernel released a page that the model kept");
    }
    forget_name(crossing->header.page);
    return true;
  });
}

void Lockstep::forget_name(std::uint32_t kernel_page) {
  if (const auto known = to_model_.find(kernel_page); known != to_model_.end()) {
    to_kernel_.erase(known->second);
    to_model_.erase(known);
  }
  node_of_.erase(kernel_page);
}

// A page that enters a pool is a new one, whatever was known of it.
void Lockstep::forget(std::uint32_t kernel_page) {
  std::erase_if(released_, [&](const PoolLogHold* crossing) { return crossing->header.page == kernel_page; });
  forget_name(kernel_page);
}

void Lockstep::differ(const PoolLogOp& op, const std::string& what) {
  static constexpr const char* kinds[] = {"?",       "create",      "alloc",          "alloc_frag", "put",
                                          "bulk",    "update_nid",  "disable_direct", "destroy",    "retry",
                                          "scrub"};
  ++report_.differences;
  if (report_.first_differences.size() < kept_differences) {
    report_.first_differences.push_back("number " + std::to_string(op.header.enter_seq) + ", pool " +
                                        std::to_string(op.header.pool) + ", " + kinds[op.header.kind] + " on CPU " +
                                        std::to_string(op.header.cpu) + ": model " + what);
  }
}

}  // namespace rxpool::guest
