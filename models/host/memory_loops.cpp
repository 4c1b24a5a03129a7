#include "models/host/memory_loops.hpp"

#include <array>

#include "models/host/prices.hpp"
#include "models/memory/page_pools.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

constexpr std::uint32_t warm_up = 4096;  // pages: past the first fills of lists, cache and ring
constexpr std::uint32_t measured = 64 * 1024;
constexpr std::uint32_t most_pages = 128;

struct LoopHost {
  explicit LoopHost(const Calibration& calibration)
      : allocator(MemoryParameters::single_node(1ULL << 30, 1), memory_prices(calibration)) {
    context.in_softirq = true;
  }

  PageAllocator allocator;
  MemoryContext context;
};

/// Runs `round` of so many pages until enough are measured; the price per page.
template <class Round>
double priced(MemoryContext& context, std::uint32_t pages, Round&& round) {
  for (std::uint32_t done = 0; done < warm_up; done += pages) round();
  context.cost = Time{0};
  std::uint32_t done = 0;
  for (; done < measured; done += pages) round();
  return static_cast<double>(context.cost.ps) / 1000 / done;
}

}  // namespace

double page_bulk_loop_ns(const Calibration& calibration, std::uint32_t bulk) {
  if (bulk < 1 || bulk > most_pages) throw InputError("page bulk: use 1 … 128 pages");
  LoopHost host(calibration);
  std::array<PageId, most_pages> pages{};
  return priced(host.context, bulk, [&] {
    const std::uint32_t got =
        host.allocator.alloc_pages_bulk(host.context, gfp::pool_default, numa_no_node, pages.data(), bulk);
    ensure(got == bulk, "memory_loops: an idle host has run out of pages");
    for (std::uint32_t i = 0; i < got; ++i) host.allocator.put_page(host.context, pages[i]);
  });
}

double page_pool_loop_ns(const Calibration& calibration, PoolLoop loop) {
  LoopHost host(calibration);
  PagePools pools(host.allocator);
  const std::int32_t list_owner = 0;
  PagePoolParameters parameters;
  parameters.napi_list_owner = &list_owner;
  PagePool& pool = pools.create(parameters);
  return priced(host.context, 1, [&] {
    const PageId page = pool.alloc(host.context);
    if (loop == PoolLoop::slow) host.allocator.get_page(page);
    host.context.in_softirq = loop != PoolLoop::ptr_ring;
    pool.put_page(host.context, page, -1, loop != PoolLoop::ptr_ring);
    host.context.in_softirq = true;
    if (loop == PoolLoop::slow) host.allocator.put_page(host.context, page);
  });
}

}  // namespace rxpool
