#include <catch2/catch.hpp>

#include <vector>

#include "models/memory/background.hpp"
#include "tests/memory/memory_fixture.hpp"

namespace rxpool {
namespace {

constexpr Gfp atomic = gfp::atomic | gfp::nowarn;

void run_kswapd(MemoryHost& host, Time until) {
  Kswapd& kswapd = host.allocator.kswapd(0);
  while (kswapd.next_step() <= until) {
    MemoryContext ctx = host.on(1, false);
    ctx.now = kswapd.next_step();
    kswapd.step(ctx);
  }
}

BackgroundParameters page_cache() {
  return {.time_per_page = microseconds(1), .reclaimable = true, .blocking = true};
}

}  // namespace

TEST_CASE("an atomic request that misses low wakes kswapd, and fails at once when the reserve is gone",
          "[PA-50][PA-52][allocator]") {
  MemoryHost host(64 * mib, 2);
  Kswapd& kswapd = host.allocator.kswapd(0);
  std::uint64_t at_wake = 0;
  while (host.allocator.alloc_pages(host.softirq, gfp::atomic, 0) != no_page) {
    if (at_wake == 0 && !kswapd.asleep()) at_wake = host.allocator.nr_free_pages();
  }
  CHECK(at_wake <= host.zone().wmark_pages(Watermark::low));
  CHECK(at_wake > host.zone().wmark_pages(Watermark::min));
  CHECK(kswapd.stats.mm_vmscan_wakeup_kswapd == 1);
  CHECK(host.allocator.stats.allocstall_normal == 0);
  CHECK(host.allocator.stats.oom_kill == 0);
  CHECK(host.allocator.stats.warn_alloc == 1);
  host.allocator.alloc_pages(host.softirq, atomic, 0);
  CHECK(host.allocator.stats.warn_alloc == 1);
  CHECK(host.allocator.stats.alloc_fail == 2);
}

TEST_CASE("kswapd starts after its latency, reclaims 32 pages per step until high, then sleeps", "[PA-51][kswapd]") {
  MemoryParameters parameters = MemoryParameters::single_node(gib, 2);
  parameters.kswapd = {.wake_latency = microseconds(80), .time_per_page = microseconds(2)};
  MemoryHost host(parameters);
  Background cache(host.allocator, page_cache());
  const std::uint64_t low = host.zone().wmark_pages(Watermark::low);
  cache.prefill(host.allocator.nr_free_pages() - low - 100);
  host.softirq.now = milliseconds(3);
  Kswapd& kswapd = host.allocator.kswapd(0);
  std::vector<PageId> pages;
  while (kswapd.asleep()) pages.push_back(host.allocator.alloc_pages(host.softirq, atomic, 0));
  CHECK(kswapd.next_step() == milliseconds(3) + microseconds(80));
  MemoryContext ctx = host.on(1, false);
  ctx.now = kswapd.next_step();
  kswapd.step(ctx);
  CHECK(kswapd.stats.pgsteal_kswapd == 32);
  CHECK(kswapd.next_step() == ctx.now + microseconds(64));
  CHECK(host.zone().reclaim_active);
  CHECK(host.zone().pcp(1).count() == 32);  // freed through kswapd's own list
  run_kswapd(host, milliseconds(50));
  CHECK(host.zone().nr_free_pages() > host.zone().wmark_pages(Watermark::high));
  CHECK_FALSE(host.zone().reclaim_active);
  CHECK(kswapd.stats.mm_vmscan_kswapd_sleep == 0);  // napping
  run_kswapd(host, milliseconds(200));
  CHECK(kswapd.asleep());
  CHECK(kswapd.stats.mm_vmscan_kswapd_sleep == 1);
  CHECK(kswapd.stats.pageoutrun == 1);
}

TEST_CASE("a wake-up during the nap is a low mark hit quickly", "[PA-51][kswapd]") {
  MemoryHost host(gib, 2);
  Background cache(host.allocator, page_cache());
  cache.prefill(host.allocator.nr_free_pages() - host.zone().wmark_pages(Watermark::low) - 100);
  Kswapd& kswapd = host.allocator.kswapd(0);
  while (kswapd.asleep()) host.allocator.alloc_pages(host.softirq, atomic, 0);
  run_kswapd(host, milliseconds(50));
  host.softirq.now = milliseconds(60);
  while (kswapd.stats.mm_vmscan_wakeup_kswapd == 1) {
    REQUIRE(host.allocator.alloc_pages(host.softirq, atomic, 0) != no_page);
  }
  CHECK(kswapd.stats.kswapd_low_wmark_hit_quickly == 1);
}

TEST_CASE("the listener hears of a wake-up once", "[PA-50][kswapd]") {
  struct Listener : KswapdListener {
    void kswapd_woken(unsigned node, Time at) override {
      ++count;
      last_node = node;
      first_step = at;
    }
    int count = 0;
    unsigned last_node = 9;
    Time first_step;
  } listener;
  MemoryHost host(64 * mib, 2);
  host.allocator.set_kswapd_listener(&listener);
  while (host.allocator.alloc_pages(host.softirq, atomic, 0) != no_page) {
  }
  CHECK(listener.count == 1);
  CHECK(listener.last_node == 0);
  CHECK(listener.first_step == microseconds(50));
}

TEST_CASE("kswapd gives up after 16 fruitless runs until somebody makes progress", "[PA-51][kswapd]") {
  MemoryHost host(64 * mib, 2);
  Kswapd& kswapd = host.allocator.kswapd(0);
  while (host.allocator.alloc_pages(host.softirq, atomic, 0) != no_page) {
  }
  run_kswapd(host, seconds(10));
  CHECK(kswapd.hopeless());
  CHECK(kswapd.asleep());
  CHECK(kswapd.stats.pageoutrun == 16);
  host.allocator.alloc_pages(host.softirq, atomic, 0);
  CHECK(kswapd.asleep());
  kswapd.note_progress();
  host.allocator.alloc_pages(host.softirq, atomic, 0);
  CHECK_FALSE(kswapd.asleep());
}

TEST_CASE("a blocking request reclaims itself and succeeds", "[PA-52][PA-53][allocator]") {
  MemoryPrices prices;
  prices.reclaim_page = microseconds(1);
  MemoryHost host(MemoryParameters::single_node(gib, 2), prices);
  Background cache(host.allocator, page_cache());
  cache.prefill(host.allocator.nr_free_pages() - host.zone().wmark_pages(Watermark::min) - 10);
  MemoryContext process = host.on(1, false);
  for (int i = 0; i < 1000; ++i) REQUIRE(host.allocator.alloc_pages(process, gfp::kernel, 0) != no_page);
  CHECK(host.allocator.stats.allocstall_normal > 0);
  CHECK(host.allocator.stats.pgsteal_direct == 32 * host.allocator.stats.allocstall_normal);
  CHECK(process.cost == microseconds(1) * static_cast<std::int64_t>(host.allocator.stats.pgsteal_direct));
  CHECK(host.allocator.stats.oom_kill == 0);
  CHECK(cache.stats.reclaimed == host.allocator.stats.pgsteal_direct);
}

TEST_CASE("with nothing to reclaim a blocking request kills the largest consumer", "[PA-52][allocator]") {
  MemoryHost host(256 * mib, 2);
  Background small(host.allocator, {.reclaimable = false});
  Background large(host.allocator, {.reclaimable = false});
  small.prefill(10000);
  large.prefill(40000);
  MemoryContext process = host.on(1, false);
  std::uint64_t taken = 0;
  while (host.allocator.stats.oom_kill == 0) {
    REQUIRE(host.allocator.alloc_pages(process, gfp::kernel, 0) != no_page);
    ++taken;
  }
  CHECK(large.dead());
  CHECK_FALSE(small.dead());
  CHECK(large.stats.killed == 40000);
  CHECK(host.allocator.nr_free_pages() + host.allocator.nr_pcp_pages() + taken + 10000 == host.allocator.total_pages());
  host.allocator.verify();
}

TEST_CASE("without a victim the request fails; without __GFP_FS or above order 3 nobody is killed",
          "[PA-52][allocator]") {
  MemoryHost host(64 * mib, 1);
  while (host.allocator.alloc_pages(host.softirq, atomic, 0) != no_page) {
  }
  CHECK(host.allocator.alloc_pages(host.softirq, gfp::kernel, 0) == no_page);
  MemoryHost with_victim(64 * mib, 1);
  Background app(with_victim.allocator, {.reclaimable = false});
  app.prefill(2000);
  while (with_victim.allocator.alloc_pages(with_victim.softirq, atomic, 0) != no_page) {
  }
  CHECK(with_victim.allocator.alloc_pages(with_victim.softirq, gfp::kernel & ~gfp::fs, 0) == no_page);
  CHECK(with_victim.allocator.alloc_pages(with_victim.softirq, gfp::kernel, 4) == no_page);
  CHECK_FALSE(app.dead());
  CHECK(with_victim.allocator.alloc_pages(with_victim.softirq, gfp::kernel, 0) != no_page);
  CHECK(app.dead());
}

TEST_CASE("a background user takes 32 pages per step at its rate, up to its limit", "[background]") {
  MemoryHost host(gib, 2);
  BackgroundParameters p = page_cache();
  p.start = milliseconds(1);
  p.limit_pages = 100;
  Background cache(host.allocator, p);
  CHECK(cache.next_step() == milliseconds(1));
  MemoryContext ctx = host.on(1, false);
  for (int i = 0; i < 5; ++i) {
    ctx.now = cache.next_step();
    CHECK(ctx.now == milliseconds(1) + microseconds(32 * i));
    cache.step(ctx);
  }
  CHECK(cache.held_pages() == 100);
  CHECK(cache.stats.allocated == 100);
}

TEST_CASE("a background user frees its pages after the holding time, also after it stopped", "[background]") {
  MemoryHost host(gib, 2);
  BackgroundParameters p = page_cache();
  p.stop = microseconds(60);  // two batches, at 0 and 32 us
  p.hold = milliseconds(2);
  Background cache(host.allocator, p);
  MemoryContext ctx = host.on(1, false);
  while (cache.next_step() != Time::never()) {
    ctx.now = cache.next_step();
    cache.step(ctx);
  }
  CHECK(ctx.now == milliseconds(2) + microseconds(32));
  CHECK(cache.stats.allocated == 64);
  CHECK(cache.stats.expired == 64);
  CHECK(cache.held_pages() == 0);
}

TEST_CASE("more than the node has cannot be in use at the start", "[background]") {
  MemoryHost host(64 * mib, 1);
  Background cache(host.allocator, page_cache());
  CHECK_THROWS_AS(cache.prefill(100 * mib >> page_shift), InputError);
  CHECK_THROWS_AS(Background(host.allocator, {.node = 3}), InputError);
}

TEST_CASE("a filled host lives on: RX takes from the reserve while kswapd wins pages back", "[PA-51][PA-53][kswapd]") {
  MemoryHost host(16 * gib, 2);
  Background cache(host.allocator, page_cache());
  cache.prefill(host.allocator.nr_free_pages() - host.zone().wmark_pages(Watermark::low));
  PagePool& pool = host.pool();
  Time now;
  std::uint64_t failed = 0;
  for (int round = 0; round < 2000; ++round) {
    now += microseconds(20);
    host.softirq.now = now;
    failed += host.take(pool, PagePlace::socket) == no_page ? 1 : 0;
    run_kswapd(host, now);
  }
  CHECK(failed == 0);
  CHECK(host.allocator.kswapd(0).stats.pgsteal_kswapd > 0);
  CHECK(host.allocator.nr_free_pages() + host.allocator.nr_pcp_pages() + cache.held_pages() +
            static_cast<std::uint64_t>(pool.inflight()) ==
        host.allocator.total_pages());
  host.allocator.verify();
}

}  // namespace rxpool
