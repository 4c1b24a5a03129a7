#include <catch2/catch.hpp>

#include <vector>

#include "tests/memory/memory_fixture.hpp"

namespace rxpool {
namespace {

constexpr Gfp atomic = gfp::atomic | gfp::nowarn;

}  // namespace

TEST_CASE("watermarks are the worked examples of the reference", "[PA-40][PA-41][zone]") {
  struct Example {
    std::uint64_t gib, kbytes, min, low, high;
  };
  for (const Example e : {Example{2, 5792, 1448, 1972, 2496}, Example{16, 16384, 4096, 8290, 12484},
                          Example{64, 32768, 8192, 24969, 41746}, Example{128, 46340, 11585, 45139, 78693},
                          Example{256, 65536, 16384, 83492, 150600}}) {
    MemoryHost host(e.gib * gib, 8);
    CHECK(host.allocator.min_free_kbytes() == e.kbytes);
    CHECK(host.zone().wmark_pages(Watermark::min) == e.min);
    CHECK(host.zone().wmark_pages(Watermark::low) == e.low);
    CHECK(host.zone().wmark_pages(Watermark::high) == e.high);
  }
}

TEST_CASE("min_free_kbytes and watermark_scale_factor move the marks", "[PA-40][PA-41][zone]") {
  MemoryParameters parameters = MemoryParameters::single_node(16 * gib, 8);
  parameters.min_free_kbytes = 65536;
  parameters.watermark_scale_factor = 100;
  MemoryHost host(parameters);
  CHECK(host.zone().wmark_pages(Watermark::min) == 16384);
  CHECK(host.zone().wmark_pages(Watermark::low) == 16384 + 41943);
  parameters.watermark_scale_factor = 3001;
  CHECK_THROWS_AS(MemoryHost(parameters), InputError);
}

TEST_CASE("zones share min by their size and keep a reserve from higher requests", "[PA-41][PA-43][zone]") {
  MemoryParameters parameters;
  parameters.nodes = {{{{ZoneKind::dma, 16 * mib}, {ZoneKind::dma32, 3 * gib}, {ZoneKind::normal, 13 * gib}}}};
  parameters.cpu_node = {0};
  MemoryHost host(parameters);
  const auto& zones = host.allocator.zones();
  std::uint64_t min = 0;
  for (const Zone& zone : zones) min += zone.wmark_pages(Watermark::min);
  CHECK(min <= host.allocator.min_free_kbytes() / 4);
  CHECK(min + 3 > host.allocator.min_free_kbytes() / 4);
  CHECK(zones[1].lowmem_reserve(ZoneKind::normal) == (13 * gib >> page_shift) / 256);
  CHECK(zones[1].lowmem_reserve(ZoneKind::dma32) == 0);
  CHECK(zones[0].lowmem_reserve(ZoneKind::normal) == (16 * gib >> page_shift) / 256);
  CHECK(zones[2].lowmem_reserve(ZoneKind::movable) == 0);
  // NORMAL first, DMA32 only when NORMAL is at its mark.
  CHECK(host.allocator.page(host.allocator.alloc_pages(host.softirq, atomic, 0)).zone == 2);
  CHECK(host.allocator.page(host.allocator.alloc_pages(host.softirq, atomic | gfp::dma32, 0)).zone == 1);
}

TEST_CASE("requests may go down to low, min, min/2 or 3/8 of min", "[PA-44][PA-46][zone]") {
  struct Case {
    Gfp flags;
    double share_of_min;
  };
  for (const Case c :
       {Case{gfp::atomic | gfp::nowarn, 3.0 / 8}, Case{gfp::high | gfp::direct_reclaim | gfp::noretry, 0.5},
        Case{gfp::nowait, 1.0}, Case{gfp::direct_reclaim | gfp::noretry | gfp::nowarn, 1.0}}) {
    MemoryHost host(16 * gib, 1);
    const auto floor = static_cast<std::uint64_t>(4096 * c.share_of_min);
    host.take_until(floor + 1);
    // Each on a fresh CPU list: the test is made before the list is looked at.
    CHECK(host.allocator.alloc_pages(host.softirq, c.flags, 0) != no_page);
    MemoryHost at_floor(16 * gib, 1);
    at_floor.take_until(floor);
    CHECK(at_floor.allocator.alloc_pages(at_floor.softirq, c.flags, 0) == no_page);
  }
}

TEST_CASE("memalloc ignores the marks and gives a pfmemalloc page", "[PA-44][PA-46][zone]") {
  MemoryHost host(16 * gib, 1);
  host.take_until(100);
  CHECK(host.allocator.alloc_pages(host.softirq, atomic, 0) == no_page);
  const PageId page = host.allocator.alloc_pages(host.softirq, atomic | gfp::memalloc, 0);
  REQUIRE(page != no_page);
  CHECK(host.allocator.page(page).pfmemalloc());
  CHECK(host.allocator.alloc_pages(host.softirq, atomic | gfp::memalloc | gfp::nomemalloc, 0) == no_page);
}

TEST_CASE("one test allows a whole bulk, so free can sink below the floor", "[PA-47][zone]") {
  MemoryHost host(16 * gib, 1);
  host.take_until(1537);
  REQUIRE(host.allocator.alloc_pages(host.softirq, atomic, 0) != no_page);
  CHECK(host.zone().nr_free_pages() == 1537 - 63);
  // The CPU holds 62 pages and still gets none.
  CHECK(host.zone().pcp(0).count() == 62);
  CHECK(host.allocator.alloc_pages(host.softirq, atomic, 0) == no_page);
}

TEST_CASE("falling below high is remembered, and forgotten at a bulk free above it", "[PA-10][PA-25][zone]") {
  MemoryHost host(16 * gib, 1);
  host.allocator.alloc_pages(host.softirq, atomic, 0);
  CHECK_FALSE(host.zone().below_high);
  std::vector<PageId> pages;
  while (!host.zone().below_high) pages.push_back(host.allocator.alloc_pages(host.softirq, atomic, 0));
  CHECK(host.zone().nr_free_pages() <= host.zone().wmark_pages(Watermark::high));
  while (host.zone().below_high && !pages.empty()) {
    host.allocator.put_page(host.softirq, pages.back());
    pages.pop_back();
  }
  CHECK_FALSE(host.zone().below_high);
  CHECK(host.zone().nr_free_pages() > host.zone().wmark_pages(Watermark::high));
}

TEST_CASE("the boost binds ordinary requests but not atomic order-0 ones", "[PA-42][zone]") {
  MemoryHost host(16 * gib, 1);
  Zone& zone = host.zone();
  // Movable pages everywhere, a few holes: the next unmovable request breaks into a foreign pageblock.
  std::vector<PageId> pages;
  while (zone.nr_free_pages() > 3000) {
    pages.push_back(host.allocator.alloc_pages(host.softirq, gfp::nowait | gfp::movable | gfp::memalloc, 0));
  }
  host.allocator.drain_all_pages(host.softirq);
  bool boost = false;
  while (zone.buddy().take_exact(6, MigrateType::movable) != no_page) {
  }
  for (std::size_t i = 0; i < 4000; i += 2) host.allocator.put_page(host.softirq, pages[i]);
  host.allocator.drain_all_pages(host.softirq);
  REQUIRE(zone.boost() == 0);
  const std::uint64_t low = zone.wmark_pages(Watermark::low);
  host.allocator.alloc_pages(host.softirq, atomic, 0);
  CHECK(zone.boost() >= pageblock_pages);
  CHECK(zone.wmark_pages(Watermark::low) == low + zone.boost());
  CHECK(zone.boost() <= zone.wmark_unboosted(Watermark::high) * 3 / 2);
  const std::uint64_t mark = zone.wmark_pages(Watermark::min);
  host.take_until(mark - 1);
  CHECK_FALSE(zone.watermark_fast(0, mark, ZoneKind::normal, alloc_flag::wmark_min));
  CHECK(zone.watermark_fast(0, mark, ZoneKind::normal,
                            alloc_flag::wmark_min | alloc_flag::min_reserve | alloc_flag::non_block));
  CHECK_FALSE(boost);
}

TEST_CASE("a bulk request fills its array from one list", "[PA-30][PA-33][PA-35][allocator]") {
  MemoryHost host;
  PageId pages[64];
  CHECK(host.allocator.alloc_pages_bulk(host.softirq, atomic, 0, pages, 64) == 64);
  CHECK(host.allocator.stats.bulk_single == 0);
  CHECK(host.zone().stats.zone_lock_holds == 2);  // 63, then 126
  for (const PageId page : pages) CHECK_FALSE(host.allocator.page(page).pfmemalloc());
  CHECK(host.zone().stats.pgalloc == 64);
  CHECK(host.zone().stats.numa_hit == 1);
}

TEST_CASE("one page, accounting or page_owner turn the bulk into a single page", "[PA-31][allocator]") {
  PageId pages[64];
  MemoryHost host;
  CHECK(host.allocator.alloc_pages_bulk(host.softirq, atomic, 0, pages, 1) == 1);
  CHECK(host.allocator.alloc_pages_bulk(host.softirq, atomic | gfp::account, 0, pages, 64) == 1);
  CHECK(host.allocator.stats.bulk_single == 2);
  MemoryParameters parameters = MemoryParameters::single_node(gib, 1);
  parameters.page_owner = true;
  MemoryHost owner(parameters);
  CHECK(owner.allocator.alloc_pages_bulk(owner.softirq, atomic, 0, pages, 64) == 1);
}

TEST_CASE("below low + 64 the pool's slow path gets one page per call", "[PA-32][PA-34][allocator]") {
  MemoryHost host(16 * gib, 1);
  PagePool& pool = host.pool();
  const std::uint64_t low = host.zone().wmark_pages(Watermark::low);
  host.take_until(low + 65);
  REQUIRE(host.take(pool) != no_page);
  CHECK(pool.hold_cnt() == 64);
  host.take_until(low + 64);
  while (pool.cache_count() > 0) host.take(pool);
  const std::uint64_t slow = pool.stats.alloc_slow;
  for (int i = 0; i < 50; ++i) REQUIRE(host.take(pool) != no_page);
  CHECK(pool.stats.alloc_slow == slow + 50);
  CHECK(pool.hold_cnt() == 64 + 50);
  CHECK(host.allocator.stats.bulk_single == 50);
}

TEST_CASE("the bulk path stays on the preferred node, a single page may come from another", "[PA-32][allocator]") {
  MemoryParameters parameters;
  parameters.nodes = {{{{ZoneKind::normal, 16 * gib}}}, {{{ZoneKind::normal, 16 * gib}}}};
  parameters.cpu_node = {0, 1};
  MemoryHost host(parameters);
  host.take_until(host.zone().wmark_pages(Watermark::low));
  PageId pages[64];
  CHECK(host.allocator.alloc_pages_bulk(host.softirq, atomic, 0, pages, 64) == 1);
  CHECK(host.allocator.page(pages[0]).node == 1);
  CHECK(host.zone(1).stats.numa_miss == 1);
  CHECK(host.zone(0).stats.numa_foreign == 1);
  CHECK(host.zone(1).stats.numa_other == 1);
}

}  // namespace rxpool
