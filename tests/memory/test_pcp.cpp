#include <catch2/catch.hpp>

#include <vector>

#include "tests/memory/memory_fixture.hpp"

namespace rxpool {
namespace {

constexpr PcpZoneState calm{};

PerCpuPages tuned(int high_min = 252, int high_max = 8192) {
  PerCpuPages pcp({6, 18});
  pcp.set_limits({63, high_min, high_max});
  return pcp;
}

}  // namespace

TEST_CASE("the batch is 63 for zones of 1 GiB and more, less below", "[PA-1][pcp]") {
  CHECK(zone_batchsize(gib >> page_shift) == 63);
  CHECK(zone_batchsize(256 * gib >> page_shift) == 63);
  CHECK(zone_batchsize(256 * mib >> page_shift) == 15);
  CHECK(zone_batchsize(16 * mib >> page_shift) == 0);  // used as 1
}

TEST_CASE("high_min and high_max are the worked examples of the reference", "[PA-2][pcp]") {
  struct Example {
    std::uint64_t gib;
    int high_min, high_max;
  };
  for (const Example e : {Example{2, 252, 8192}, Example{16, 1036, 65536}, Example{64, 3121, 262144},
                          Example{128, 5642, 524288}, Example{256, 10436, 1048576}}) {
    MemoryHost host(e.gib * gib, 8);
    CHECK(host.zone().pcp(0).high_min() == e.high_min);
    CHECK(host.zone().pcp(0).high_max() == e.high_max);
    CHECK(host.zone().pcp(0).batch() == 63);
  }
}

TEST_CASE("percpu_pagelist_high_fraction fixes high", "[PA-3][pcp]") {
  MemoryParameters parameters = MemoryParameters::single_node(16 * gib, 8);
  parameters.percpu_pagelist_high_fraction = 8;
  CHECK(MemoryHost(parameters).zone().pcp(0).high_min() == 65536);
  CHECK(MemoryHost(parameters).zone().pcp(0).high_max() == 65536);
  parameters.percpu_pagelist_high_fraction = 7;
  CHECK_THROWS_AS(MemoryHost(parameters), InputError);
  parameters.percpu_pagelist_high_fraction = 0;
  parameters.release = {6, 6};
  CHECK(MemoryHost(parameters).zone().pcp(0).high() == 1036);
  CHECK(MemoryHost(parameters).zone().pcp(0).high_max() == 1036);
}

TEST_CASE("a boot pageset takes one page and keeps none", "[PA-4][PA-13][pcp]") {
  PageTable pages(16);
  PerCpuPages pcp({6, 18});
  CHECK(pcp.nr_alloc(0, calm) == 1);
  pcp.push_head(pages, 0, 1);
  CHECK(pcp.note_free(0, calm) == 1);
}

TEST_CASE("pages in a CPU's list are invisible to other CPUs and to nr_free_pages", "[PA-5][pcp]") {
  MemoryHost host;
  const std::uint64_t before = host.allocator.nr_free_pages();
  const PageId page = host.allocator.alloc_pages(host.softirq, gfp::atomic, 0);
  CHECK(host.allocator.nr_free_pages() == before - 63);
  CHECK(host.allocator.nr_pcp_pages() == 62);
  CHECK(host.zone().pcp(1).count() == 0);
  CHECK(page != no_page);
}

TEST_CASE("a CPU that only allocates takes 63, 126, 252, 504, 1008, 2016, 2016", "[PA-12][PA-13][pcp]") {
  MemoryHost host(16 * gib, 8);
  std::vector<std::uint64_t> bulks;
  std::uint64_t free = host.allocator.nr_free_pages();
  while (bulks.size() < 8) {
    host.allocator.alloc_pages(host.softirq, gfp::atomic, 0);
    if (host.allocator.nr_free_pages() != free) {
      bulks.push_back(free - host.allocator.nr_free_pages());
      free = host.allocator.nr_free_pages();
    }
  }
  CHECK(bulks == std::vector<std::uint64_t>{63, 126, 252, 504, 1008, 2016, 2016, 2016});
  CHECK(host.zone().pcp(0).alloc_factor() == 5);
}

TEST_CASE("with tuning off, high - count - batch bounds the bulk", "[PA-13][pcp]") {
  PerCpuPages pcp = tuned(400, 400);
  CHECK(pcp.nr_alloc(0, calm) == 63);
  CHECK(pcp.nr_alloc(0, calm) == 126);
  CHECK(pcp.nr_alloc(0, calm) == 252);
  CHECK(pcp.nr_alloc(0, calm) == 400 - 63);
  CHECK(pcp.high() == 400);
}

TEST_CASE("higher orders take max(batch >> order, 2) blocks", "[PA-13][pcp]") {
  PerCpuPages pcp = tuned();
  CHECK(pcp.nr_alloc(1, calm) == 31);
  CHECK(pcp.nr_alloc(3, calm) == 7);
  CHECK(pcp.alloc_factor() == 0);
}

TEST_CASE("a zone below high does not raise the CPU's high on allocation", "[PA-13][pcp]") {
  PerCpuPages pcp = tuned();
  pcp.nr_alloc(0, {.below_high = true});
  CHECK(pcp.high() == 252);
  pcp.nr_alloc(0, calm);
  CHECK(pcp.high() == 252 + 126);
}

TEST_CASE("every free halves alloc_factor, every allocation the run of frees", "[PA-11][PA-14][PA-20][pcp]") {
  PageTable pages(4096);
  PerCpuPages pcp = tuned();
  for (int i = 0; i < 4; ++i) pcp.nr_alloc(0, calm);
  REQUIRE(pcp.alloc_factor() == 4);
  pcp.push_head(pages, 0, 1);
  pcp.note_free(0, calm);
  CHECK(pcp.alloc_factor() == 2);
  for (PageId page = 2; page < 102; ++page) {
    pcp.push_head(pages, 0, page);
    pcp.note_free(0, calm);
  }
  CHECK(pcp.free_count() == 101);
  pcp.note_alloc();
  CHECK(pcp.free_count() == 50);
}

TEST_CASE("the run of frees is capped at batch << 5", "[PA-20][pcp]") {
  PageTable pages(4096);
  PerCpuPages pcp = tuned(8192, 8192);
  for (int i = 0; i < 3000; ++i) {
    pcp.push_head(pages, 0, static_cast<PageId>(1 + i));
    pcp.note_free(0, calm);
  }
  CHECK(pcp.free_count() == 2016);
}

TEST_CASE("the threshold of a flush", "[PA-21][PA-22][pcp]") {
  PageTable pages(40000);
  const auto filled = [&](int count, int high_min, int high_max) {
    PerCpuPages pcp = tuned(high_min, high_max);
    for (int i = 0; i < count; ++i) pcp.push_head(pages, 0, static_cast<PageId>(1 + i));
    return pcp;
  };
  SECTION("tuning off: high itself, and a batch leaves") {
    PerCpuPages below = filled(399, 400, 400);
    CHECK(below.note_free(0, calm) == 0);
    PerCpuPages at = filled(400, 400, 400);
    CHECK(at.note_free(0, calm) == 63);
  }
  SECTION("tuning on: the present high, and high grows to the run of frees + batch") {
    PerCpuPages pcp = filled(0, 252, 8192);
    int flushed = 0;
    for (int i = 0; i < 400 && flushed == 0; ++i) {
      pcp.push_head(pages, 0, static_cast<PageId>(1 + i));
      flushed = pcp.note_free(0, calm);
    }
    CHECK(pcp.count() == 252);
    CHECK(flushed == 252 - 63);
    CHECK(pcp.high() == 252 + 63);
  }
  SECTION("zone below high: flushes now and lowers high") {
    PerCpuPages pcp = filled(300, 252, 8192);
    pcp.nr_alloc(0, calm);
    const int high = pcp.high();
    CHECK(pcp.note_free(0, {.below_high = true}) == 63);
    CHECK(pcp.high() == std::max(252, high - 63));
  }
  SECTION("reclaim active: four batches at most") {
    PerCpuPages pcp = filled(251, 300, 8192);
    CHECK(pcp.note_free(0, {.reclaim_active = true}) == 0);
    pcp.push_head(pages, 0, 300);
    CHECK(pcp.note_free(0, {.reclaim_active = true}) == 63);
  }
  SECTION("a burst of higher-order frees empties the list") {
    PerCpuPages pcp = filled(0, 252, 8192);
    int flushed = 0;
    int count = 0;
    for (int i = 0; i < 200 && flushed == 0; ++i) {
      pcp.push_head(pages, pcp_list_index(1, MigrateType::unmovable), static_cast<PageId>(2 + 2 * i));
      flushed = pcp.note_free(1, calm);
      count = pcp.count();
    }
    CHECK(count == 63 + 252 / 2 + 3);  // free_count reached batch + high_min / 2, then the next free
    CHECK(flushed == count);
  }
  SECTION("6.6: amounts double from call to call") {
    PerCpuPages pcp({6, 6});
    pcp.set_limits({63, 1000, 1000});
    for (int i = 0; i < 1000; ++i) pcp.push_head(pages, 0, static_cast<PageId>(1 + i));
    CHECK(pcp.note_free(0, calm) == 63);
    CHECK(pcp.note_free(0, calm) == 126);
    CHECK(pcp.note_free(0, calm) == 252);
    CHECK(pcp.note_free(0, calm) == 504);
    CHECK(pcp.note_free(0, calm) == 1000 - 63);
  }
}

TEST_CASE("a flush takes the coldest pages and cuts into chunks on newer kernels", "[PA-22][PA-23][pcp]") {
  for (const KernelRelease release : {KernelRelease{6, 18}, KernelRelease{6, 19}}) {
    MemoryParameters parameters = MemoryParameters::single_node(gib, 1);
    parameters.release = release;
    MemoryHost host(parameters);
    std::vector<PageId> pages;
    for (int i = 0; i < 20000; ++i) pages.push_back(host.allocator.alloc_pages(host.softirq, gfp::atomic, 0));
    host.allocator.drain_all_pages(host.softirq);
    for (int i = 0; i < 100; ++i) host.allocator.vmstat_tick(host.softirq);  // high comes down again
    const std::uint64_t holds = host.zone().stats.zone_lock_holds;
    std::size_t freed = 0;
    while (host.zone().stats.zone_lock_holds == holds && freed < pages.size()) {
      host.allocator.put_page(host.softirq, pages[freed++]);
    }
    const auto flushed = static_cast<std::uint64_t>(freed) - static_cast<std::uint64_t>(host.zone().pcp(0).count());
    CHECK(flushed > 63);
    const std::uint64_t chunks = release.minor == 19 ? (flushed + 62) / 63 : 1;
    CHECK(host.zone().stats.zone_lock_holds - holds == chunks);
    // The hottest page is still there, the first one freed is not.
    CHECK(host.allocator.page(pages[freed - 1]).place == PagePlace::pcp);
    CHECK(host.allocator.page(pages[0]).place == PagePlace::zone_free);
  }
}

TEST_CASE("freeing on another CPU moves pages from list to list through the zone", "[PA-24][pcp]") {
  MemoryHost host(gib, 2);
  MemoryContext freeing = host.on(1, true);
  for (int i = 0; i < 20000; ++i) {
    host.allocator.put_page(freeing, host.allocator.alloc_pages(host.softirq, gfp::atomic, 0));
  }
  CHECK(host.zone().stats.mm_page_alloc_zone_locked >= 20000);
  CHECK(host.zone().stats.mm_page_pcpu_drain > 15000);
  const std::uint64_t drained = host.zone().stats.mm_page_pcpu_drain;
  for (int i = 0; i < 20000; ++i) {
    host.allocator.put_page(host.softirq, host.allocator.alloc_pages(host.softirq, gfp::atomic, 0));
  }
  CHECK(host.zone().stats.mm_page_pcpu_drain == drained);
}

TEST_CASE("the vmstat tick lowers high by an eighth and drains the excess", "[PA-26][pcp]") {
  MemoryHost host(16 * gib, 8);
  std::vector<PageId> pages;
  for (int i = 0; i < 20000; ++i) pages.push_back(host.allocator.alloc_pages(host.softirq, gfp::atomic, 0));
  for (const PageId page : pages) host.allocator.put_page(host.softirq, page);
  const int high = host.zone().pcp(0).high();
  const int count = host.zone().pcp(0).count();
  REQUIRE(count > 2016 + 1036);
  host.allocator.vmstat_tick(host.softirq);
  const int expected = std::max({count - 2016, high - high / 8, 1036});
  CHECK(host.zone().pcp(0).high() == expected);
  CHECK(host.zone().pcp(0).count() == std::min(count, expected));
  for (int i = 0; i < 100; ++i) host.allocator.vmstat_tick(host.softirq);
  CHECK(host.zone().pcp(0).high() == 1036);
  CHECK(host.zone().pcp(0).count() <= 1036);
}

TEST_CASE("an idle list of a remote node is drained on the third tick", "[PA-26][pcp]") {
  MemoryParameters parameters;
  parameters.nodes = {{{{ZoneKind::normal, gib}}}, {{{ZoneKind::normal, gib}}}};
  parameters.cpu_node = {0, 1};
  MemoryHost host(parameters);
  const PageId remote = host.allocator.alloc_pages(host.softirq, gfp::atomic, 0, 1);
  const PageId local = host.allocator.alloc_pages(host.softirq, gfp::atomic, 0, 0);
  host.allocator.put_page(host.softirq, remote);
  host.allocator.put_page(host.softirq, local);
  REQUIRE(host.zone(1).pcp(0).count() == 63);
  host.allocator.vmstat_tick(host.softirq);
  host.allocator.vmstat_tick(host.softirq);
  CHECK(host.zone(1).pcp(0).count() == 63);
  host.allocator.vmstat_tick(host.softirq);
  CHECK(host.zone(1).pcp(0).count() == 0);
  CHECK(host.zone(0).pcp(0).count() == 63);
}

}  // namespace rxpool
