// Real time of the pool's and the allocator's operations, per page.

#include <benchmark/benchmark.h>

#include <vector>

#include "models/memory/llc.hpp"
#include "models/memory/page_pools.hpp"

namespace rxpool {
namespace {

struct Host {
  Host() : allocator(MemoryParameters::single_node(4ULL << 30, 2), {}), pools(allocator) { ctx.in_softirq = true; }
  PagePool& pool(std::uint32_t size) {
    PagePoolParameters parameters;
    parameters.pool_size = size;
    parameters.napi_list_owner = &list_owner;
    return pools.create(parameters);
  }
  std::int32_t list_owner = 0;
  PageAllocator allocator;
  PagePools pools;
  MemoryContext ctx;
};

// One page out and straight back, as an XDP drop in the owning poll.
void pool_alloc_recycle_direct(benchmark::State& state) {
  Host host;
  PagePool& pool = host.pool(1024);
  for (auto _ : state) {
    const PageId page = pool.alloc(host.ctx);
    benchmark::DoNotOptimize(page);
    pool.recycle_direct(host.ctx, page);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(pool_alloc_recycle_direct);

// A ring of descriptors that is refilled in bulks of 64 and returns its oldest pages: the page records are cold.
template <bool batch>
void pool_descriptor_ring(benchmark::State& state) {
  Host host;
  PagePool& pool = host.pool(1024);
  const auto size = static_cast<std::size_t>(state.range(0));
  std::vector<PageId> posted(size);
  for (PageId& page : posted) {
    page = pool.alloc(host.ctx);
    host.allocator.page(page).place = PagePlace::posted;
  }
  std::size_t next = 0;
  for (auto _ : state) {
    if constexpr (batch) {
      pool.recycle_direct_batch(host.ctx, &posted[next], 64);
      pool.alloc_batch(host.ctx, &posted[next], 64);
    } else {
      for (std::size_t i = 0; i < 64; ++i) {
        pool.recycle_direct(host.ctx, posted[next + i]);
      }
      for (std::size_t i = 0; i < 64; ++i) {
        posted[next + i] = pool.alloc(host.ctx);
      }
    }
    next = (next + 64) % size;
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK_TEMPLATE(pool_descriptor_ring, false)->Arg(1024)->Arg(8192);
BENCHMARK_TEMPLATE(pool_descriptor_ring, true)->Arg(1024)->Arg(8192);

// Returned by another CPU, taken back by refills of 64.
void pool_through_ring(benchmark::State& state) {
  Host host;
  PagePool& pool = host.pool(1024);
  MemoryContext remote;
  remote.cpu = 1;
  remote.in_softirq = true;
  PageId pages[64];
  for (auto _ : state) {
    for (PageId& page : pages) {
      page = pool.alloc(host.ctx);
    }
    for (const PageId page : pages) {
      pool.put_full_page(remote, page, false);
    }
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(pool_through_ring);

void allocator_single(benchmark::State& state) {
  Host host;
  for (auto _ : state) {
    const PageId page = host.allocator.alloc_pages(host.ctx, gfp::atomic, 0);
    host.allocator.put_page(host.ctx, page);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(allocator_single);

// Allocated on one CPU, freed on the other: every page passes the buddy lists (PA-24).
void allocator_cross_cpu(benchmark::State& state) {
  Host host;
  MemoryContext remote;
  remote.cpu = 1;
  PageId pages[64];
  for (auto _ : state) {
    const std::uint32_t count = host.allocator.alloc_pages_bulk(host.ctx, gfp::atomic, 0, pages, 64);
    for (std::uint32_t i = 0; i < count; ++i) {
      host.allocator.put_page(remote, pages[i]);
    }
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(allocator_cross_cpu);

void llc_write_and_read(benchmark::State& state) {
  const auto buffers = static_cast<BufferId>(state.range(0));
  Llc llc({}, buffers + 1);
  BufferId next = 1;
  for (auto _ : state) {
    benchmark::DoNotOptimize(llc.dma_write(2 * next));
    benchmark::DoNotOptimize(llc.cpu_read(2 * next, llc.view()));
    next = next == buffers ? 1 : next + 1;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(llc_write_and_read)->Arg(1024)->Arg(8192);

}  // namespace
}  // namespace rxpool

BENCHMARK_MAIN();
