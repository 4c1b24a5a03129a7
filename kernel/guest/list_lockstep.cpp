#include "kernel/guest/list_lockstep.hpp"

#include <algorithm>
#include <cstdlib>

#include "sim/error.hpp"

namespace rxpool::guest {
namespace {

constexpr PageId first_page = max_block_pages;  // 0 is no page
constexpr std::uint64_t zone_pages = 1ULL << 18;
constexpr std::size_t kept_list_differences = 20;
const MemoryPrices prices;

}  // namespace

ListLockstep::List::List(KernelRelease release)
    : pages(first_page + zone_pages),
      zone(pages, prices, {.first_page = first_page, .present_pages = zone_pages, .release = release}) {}

void ListLockstep::List::start_from(const ListLogCounts& before) {
  MemoryContext ctx;
  const PerCpuPages& pcp = zone.pcp(0);
  constexpr int boundless = 1 << 24;
  zone.set_pcp_limits({.batch = before.batch, .high_min = boundless, .high_max = boundless});
  zone.below_high = zone.reclaim_active = false;
  while (pcp.count() > before.count && zone.pcp_has(0, 0, MigrateType::movable)) {
    zone.free_to_buddy(ctx, zone.rmqueue_pcplist_bulk(ctx, 0, MigrateType::movable), 0);
  }
  if (pcp.count() > before.count) {
    zone.drain(ctx, 0);
  }
  while (pcp.count() < before.count) {
    zone.free_to_pcp(ctx, zone.rmqueue_buddy(ctx, 0, MigrateType::movable, 0), 0);
  }
  zone.set_pcp_limits({.batch = before.batch, .high_min = before.high_min, .high_max = before.high_max});
  zone.resume_pcp(0, {.high = before.high,
                      .alloc_factor = before.alloc_factor,
                      .free_count = before.free_count,
                      .prev_free_high_order = before.prev_free_high_order != 0});
}

ListReport ListLockstep::replay(std::span<const std::uint8_t> log) {
  std::vector<const ListLogOp*> calls;
  for (std::size_t at = 0; at + sizeof(ListLogOp) <= log.size(); at += sizeof(ListLogOp)) {
    const auto* op = reinterpret_cast<const ListLogOp*>(log.data() + at);
    if (op->header.size == 0) {
      break;
    }
    if (op->header.size != sizeof(ListLogOp) || op->header.kind < LIST_LOG_FREE || op->header.kind > LIST_LOG_DECAY) {
      throw InputError("page list log: no record at byte " + std::to_string(at));
    }
    calls.push_back(op);
  }
  std::sort(calls.begin(), calls.end(),
            [](const ListLogOp* a, const ListLogOp* b) { return a->header.exit_seq < b->header.exit_seq; });
  std::map<std::uint8_t, std::uint64_t> last_free;  // by CPU
  for (const ListLogOp* op : calls) {
    std::uint64_t& free = last_free[op->header.cpu];
    const bool interrupted = op->header.kind == LIST_LOG_DECAY && free > op->header.enter_seq;
    if (interrupted || op->order >= pcp_order_count || op->type >= migrate_pcp_types) {
      ++report_.set_aside;
    } else {
      step(*op);
    }
    free = op->header.kind == LIST_LOG_FREE ? op->header.exit_seq : free;
  }
  return report_;
}

void ListLockstep::step(const ListLogOp& op) {
  std::unique_ptr<List>& list = lists_[{op.header.pool, op.header.cpu}];
  if (!list) {
    list = std::make_unique<List>(release_);
  }
  list->start_from(op.before);
  Zone& zone = list->zone;
  MemoryContext ctx;
  zone.below_high = (op.header.flags & LIST_LOG_BELOW_HIGH) != 0;
  zone.reclaim_active = (op.header.flags & LIST_LOG_RECLAIM_ACTIVE) != 0;
  const std::uint64_t drained = zone.stats.mm_page_pcpu_drain;
  if (op.header.kind == LIST_LOG_FREE) {
    const PageId page = zone.rmqueue_buddy(ctx, op.order, MigrateType::movable, 0);
    zone.free_to_pcp(ctx, page, op.order);
  } else {
    zone.vmstat_tick(ctx);
  }
  ++report_.operations;
  compare(op, zone.pcp(0), zone.stats.mm_page_pcpu_drain - drained);
  count_rules(op);
}

// A flush that meets a block of several pages gives more than it was to; which blocks it meets depends on what lies in
// the other lists, which the log does not have.
bool ListLockstep::counts_agree(const ListLogOp& op, int model, std::uint64_t given) {
  const int entered = op.header.kind == LIST_LOG_FREE ? 1 << op.order : 0;
  const auto of_blocks = [&](int after, std::uint64_t blocks) {
    return blocks != 0 && static_cast<std::uint64_t>(op.before.count + entered - after) != blocks;
  };
  constexpr int largest_block = 1 << (pcp_order_count - 1);
  return model == op.after.count || ((of_blocks(model, given) || of_blocks(op.after.count, op.given)) &&
                                     std::abs(model - op.after.count) < largest_block);
}

void ListLockstep::compare(const ListLogOp& op, const PerCpuPages& pcp, std::uint64_t given) {
  const struct {
    const char* name;
    std::int64_t model, kernel;
  } rows[] = {{"high", pcp.high(), op.after.high},
              {"alloc_factor", pcp.alloc_factor(), op.after.alloc_factor},
              {"free_count", pcp.free_count(), op.after.free_count}};
  std::string text;
  const auto add = [&](const char* name, std::int64_t model, std::int64_t kernel) {
    text += std::string(text.empty() ? "" : ", ") + name + " " + std::to_string(model) + " kernel " +
            std::to_string(kernel);
  };
  for (const auto& row : rows) {
    if (row.model != row.kernel) {
      add(row.name, row.model, row.kernel);
    }
  }
  if (!counts_agree(op, pcp.count(), given)) {
    add("count", pcp.count(), op.after.count);
  }
  if ((given == 0) != (op.given == 0)) {
    add("given", static_cast<std::int64_t>(given), op.given);
  }
  if (text.empty()) {
    return;
  }
  ++report_.differences;
  if (report_.first_differences.size() < kept_list_differences) {
    report_.first_differences.push_back(
        "number " + std::to_string(op.header.exit_seq) + ", " + (op.header.kind == LIST_LOG_FREE ? "free" : "decay") +
        " of order " + std::to_string(op.order) + " on CPU " + std::to_string(op.header.cpu) + ": model " + text);
  }
}

void ListLockstep::count_rules(const ListLogOp& op) {
  const auto count = [&](const char* rule, bool reached) { report_.rules[rule] += reached ? 1 : 0; };
  const bool free = op.header.kind == LIST_LOG_FREE;
  count("PA-14 alloc_factor halved", free && op.after.alloc_factor < op.before.alloc_factor);
  count("PA-20 free, order 0", free && op.order == 0);
  count("PA-20 free, order 1 to 3", free && op.order > 0);
  count("PA-21 high raised by a free", free && op.after.high > op.before.high);
  count("PA-21 high lowered by a free", free && op.after.high < op.before.high);
  count("PA-21 zone below its high mark", free && (op.header.flags & LIST_LOG_BELOW_HIGH) != 0);
  count("PA-21 kswapd at work", free && (op.header.flags & LIST_LOG_RECLAIM_ACTIVE) != 0);
  count("PA-22 flush", free && op.given > 0);
  count("PA-26 decay, high lowered", !free && op.after.high < op.before.high);
  count("PA-26 decay, pages drained", !free && op.given > 0);
}

}  // namespace rxpool::guest
