#include "kernel/guest/list_lockstep.hpp"

#include <algorithm>

#include "sim/error.hpp"

namespace rxpool::guest {
namespace {

constexpr std::uint64_t pages_per_type = 1ULL << 18;
constexpr std::size_t kept_differences = 20;
const MemoryPrices prices;

const char* kind_of(const ListLogOp& op) {
  switch (op.header.kind) {
    case LIST_LOG_ALLOC:
      return "alloc";
    case LIST_LOG_FREE:
      return "free";
    case LIST_LOG_DECAY:
      return "decay";
    default:
      return "flush";
  }
}

MigrateType type_of(const ListLogOp& op) {
  return static_cast<MigrateType>(op.type);
}

}  // namespace

ListLockstep::List::List(KernelRelease release)
    : pages(migrate_pcp_types * pages_per_type),
      zone(pages, prices, {.present_pages = migrate_pcp_types * pages_per_type, .release = release}) {
  for (PageId page = 0; page < pages_per_type; page += pageblock_pages) {
    zone.buddy().retype_pageblock(page, MigrateType::unmovable);
    zone.buddy().retype_pageblock(static_cast<PageId>(page + pages_per_type), MigrateType::reclaimable);
  }
}

ListReport ListLockstep::replay(std::span<const std::uint8_t> log) {
  std::vector<const ListLogOp*> calls;
  for (std::size_t at = 0; at + sizeof(ListLogOp) <= log.size();) {
    const auto* op = reinterpret_cast<const ListLogOp*>(log.data() + at);
    if (op->header.size == 0) {
      break;
    }
    if (op->header.size != sizeof(ListLogOp) || op->header.kind < LIST_LOG_ALLOC || op->header.kind > LIST_LOG_FLUSH) {
      throw InputError("page list log: no record at byte " + std::to_string(at));
    }
    calls.push_back(op);
    at += op->header.size;
  }
  std::sort(calls.begin(), calls.end(),
            [](const ListLogOp* a, const ListLogOp* b) { return a->header.exit_seq < b->header.exit_seq; });
  for (const ListLogOp* op : calls) {
    step(*op);
  }
  return report_;
}

void ListLockstep::step(const ListLogOp& op) {
  std::unique_ptr<List>& list = lists_[op.header.cpu];
  const bool fresh = !list && op.before.count == 0 && op.header.kind != LIST_LOG_DECAY;
  if ((op.header.flags & LIST_LOG_LOCAL) == 0 || op.order >= pcp_order_count || (!list && !fresh)) {
    ++report_.foreign;
    return;
  }
  const PcpLimits limits{.batch = op.before.batch, .high_min = op.before.high_min, .high_max = op.before.high_max};
  if (fresh) {
    list = std::make_unique<List>(release_);
    list->zone.set_pcp_limits(limits);
    list->zone.resume_pcp(0, {.high = op.before.high,
                              .alloc_factor = op.before.alloc_factor,
                              .free_count = op.before.free_count << (op.header.kind == LIST_LOG_ALLOC ? 1 : 0),
                              .prev_free_high_order = op.before.prev_free_high_order != 0});
    ++report_.lists;
  }
  ++report_.operations;
  if (list->pcp().high_min() != limits.high_min || list->pcp().high_max() != limits.high_max) {
    list->zone.set_pcp_limits(limits);
  }
  if (!agrees_before(*list, op)) {
    differ(op, "before the call: count " + std::to_string(list->pcp().count()) + " kernel " +
                   std::to_string(op.before.count) + ", high " + std::to_string(list->pcp().high()) + " kernel " +
                   std::to_string(op.before.high) + ", free_count " + std::to_string(list->pcp().free_count()) +
                   " kernel " + std::to_string(op.before.free_count));
    list.reset();
    return;
  }
  const ZoneStats before = list->zone.stats;
  apply(*list, op);
  compare(*list, op, before);
  count_rules(op);
}

// An allocation halves the run of frees before the probe sees the list (PA-11), one of a bulk does not (PA-33).
bool ListLockstep::agrees_before(const List& list, const ListLogOp& op) const {
  const PerCpuPages& pcp = list.pcp();
  const bool run = pcp.free_count() == op.before.free_count ||
                   (op.header.kind == LIST_LOG_ALLOC && pcp.free_count() >> 1 == op.before.free_count);
  return run && pcp.count() == op.before.count && pcp.high() == op.before.high &&
         pcp.alloc_factor() == op.before.alloc_factor;
}

void ListLockstep::apply(List& list, const ListLogOp& op) {
  MemoryContext ctx;
  list.zone.below_high = (op.header.flags & LIST_LOG_BELOW_HIGH) != 0;
  list.zone.reclaim_active = (op.header.flags & LIST_LOG_RECLAIM_ACTIVE) != 0;
  switch (op.header.kind) {
    case LIST_LOG_ALLOC:
      alloc(list, op);
      break;
    case LIST_LOG_FREE:
      free(list, op);
      break;
    case LIST_LOG_DECAY:
      list.zone.vmstat_tick(ctx);
      break;
    default:
      list.zone.drain(ctx, 0);
      break;
  }
}

void ListLockstep::alloc(List& list, const ListLogOp& op) {
  MemoryContext ctx;
  const bool of_bulk = list.pcp().free_count() == op.before.free_count && op.before.free_count != 0;
  const PageId page = of_bulk ? list.zone.rmqueue_pcplist_bulk(ctx, op.order, type_of(op))
                              : list.zone.rmqueue_pcplist(ctx, op.order, type_of(op));
  report_.rules["PA-33 popped by a bulk"] += of_bulk ? 1 : 0;
  const auto named = list.to_kernel.find(page);
  const auto known = list.to_model.find(op.header.page);
  if (named == list.to_kernel.end() && known == list.to_model.end()) {
    list.to_kernel[page] = op.header.page;
    list.to_model[op.header.page] = page;
    ++report_.pages_bound;
  } else if (named == list.to_kernel.end() || named->second != op.header.page) {
    differ(op, "another page than the kernel's");
  }
}

// What was taken elsewhere, or under another type, is a page that the model has not seen.
PageId ListLockstep::page_to_free(List& list, const ListLogOp& op) {
  const auto known = list.to_model.find(op.header.page);
  if (known != list.to_model.end()) {
    const PageId page = known->second;
    if (list.pages[page].order == op.order && list.zone.buddy().pageblock_type(page) == type_of(op)) {
      return page;
    }
    list.to_kernel.erase(page);
    list.to_model.erase(known);
  }
  MemoryContext ctx;
  const PageId page = list.zone.rmqueue_buddy(ctx, op.order, type_of(op), 0);
  list.to_kernel[page] = op.header.page;
  list.to_model[op.header.page] = page;
  return page;
}

void ListLockstep::free(List& list, const ListLogOp& op) {
  MemoryContext ctx;
  list.zone.free_to_pcp(ctx, page_to_free(list, op), op.order);
}

void ListLockstep::compare(const List& list, const ListLogOp& op, const ZoneStats& before) {
  const PerCpuPages& pcp = list.pcp();
  const ZoneStats& now = list.zone.stats;
  const auto taken = op.header.kind == LIST_LOG_ALLOC ? now.mm_page_alloc_zone_locked - before.mm_page_alloc_zone_locked
                                                      : std::uint64_t{op.taken};
  const auto given = now.mm_page_pcpu_drain - before.mm_page_pcpu_drain;
  const struct {
    const char* name;
    std::int64_t model, kernel;
  } rows[] = {{"count", pcp.count(), op.after.count},
              {"high", pcp.high(), op.after.high},
              {"alloc_factor", pcp.alloc_factor(), op.after.alloc_factor},
              {"free_count", pcp.free_count(), op.after.free_count},
              {"taken", static_cast<std::int64_t>(taken), op.taken},
              {"given", static_cast<std::int64_t>(given), op.given}};
  std::string text;
  for (const auto& row : rows) {
    if (row.model != row.kernel) {
      text += std::string(text.empty() ? "" : ", ") + row.name + " " + std::to_string(row.model) + " kernel " +
              std::to_string(row.kernel);
    }
  }
  if (!text.empty()) {
    differ(op, text);
    lists_[op.header.cpu].reset();
  }
}

void ListLockstep::count_rules(const ListLogOp& op) {
  const auto count = [&](const char* rule, bool reached) { report_.rules[rule] += reached ? 1 : 0; };
  const bool alloc = op.header.kind == LIST_LOG_ALLOC;
  const bool free = op.header.kind == LIST_LOG_FREE;
  count("PA-11 popped, order 0", alloc && op.order == 0);
  count("PA-11 popped, higher order", alloc && op.order > 0);
  count("PA-12 list refilled", alloc && op.taken > 0);
  count("PA-13 alloc_factor grew", alloc && op.after.alloc_factor > op.before.alloc_factor);
  count("PA-13 high raised by a refill", alloc && op.after.high > op.before.high);
  count("PA-14 alloc_factor halved", free && op.after.alloc_factor < op.before.alloc_factor);
  count("PA-20 freed, order 0", free && op.order == 0);
  count("PA-20 freed, higher order", free && op.order > 0);
  count("PA-21 high raised by a free", free && op.after.high > op.before.high);
  count("PA-21 high lowered by a free", free && op.after.high < op.before.high);
  count("PA-22 flushed", free && op.given > 0);
  count("PA-26 decayed", op.header.kind == LIST_LOG_DECAY && op.after.high < op.before.high);
}

void ListLockstep::differ(const ListLogOp& op, const std::string& what) {
  ++report_.differences;
  if (report_.first_differences.size() < kept_differences) {
    report_.first_differences.push_back("number " + std::to_string(op.header.exit_seq) + ", " + kind_of(op) +
                                        " of order " + std::to_string(op.order) + " on CPU " +
                                        std::to_string(op.header.cpu) + ": model " + what);
  }
}

}  // namespace rxpool::guest
