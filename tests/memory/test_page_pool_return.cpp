#include <catch2/catch.hpp>

#include <vector>

#include "tests/memory/memory_fixture.hpp"

namespace rxpool {
namespace {

std::vector<PageId> take(MemoryHost& host, PagePool& pool, std::uint32_t count) {
  std::vector<PageId> pages;
  for (std::uint32_t i = 0; i < count; ++i) pages.push_back(host.take(pool));
  return pages;
}

}  // namespace

TEST_CASE("only the last fragment brings the page home", "[PP-20][PP-47][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const PageId page = host.take(pool);
  pool.fragment(page, 3);
  pool.recycle_direct(host.softirq, page);
  pool.recycle_direct(host.softirq, page);
  CHECK(pool.stats.recycle_cached == 0);
  CHECK(pool.inflight() == 64);  // three fragments out, one page held
  pool.recycle_direct(host.softirq, page);
  CHECK(pool.stats.recycle_cached == 1);
  CHECK(host.allocator.page(page).pp_ref_count == 1);
}

TEST_CASE("the driver drops its unused bias at once", "[PP-20][DR-10][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const PageId page = host.take(pool);
  pool.fragment(page, 64);
  CHECK_FALSE(pool.unref(page, 62));  // two fragments went into skbs
  CHECK_FALSE(pool.unref(page, 1));
  CHECK(pool.unref(page, 1));
}

TEST_CASE("more returns than fragments is our bug", "[PP-20][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const PageId page = host.take(pool);
  CHECK_THROWS_AS(pool.unref(page, 2), BugError);
  pool.recycle_direct(host.softirq, page);
  CHECK_THROWS_AS(pool.recycle_direct(host.softirq, page), BugError);
}

TEST_CASE("an implicit return is direct only in softirq and while the NAPI is scheduled on this CPU",
          "[PP-21][PP-22][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  struct Case {
    bool in_softirq;
    std::int32_t list_owner;
    std::uint16_t cpu;
    bool direct;
  };
  const Case c = GENERATE(Case{true, 0, 0, true}, Case{false, 0, 0, false}, Case{true, 0, 1, false},
                          Case{true, -1, 0, false}, Case{true, 1, 1, true});
  host.list_owner = c.list_owner;
  MemoryContext ctx = host.on(c.cpu, c.in_softirq);
  host.pools.put_page(ctx, host.take(pool));
  CHECK(pool.stats.recycle_cached == (c.direct ? 1 : 0));
  CHECK(pool.stats.recycle_ring == (c.direct ? 0 : 1));
}

TEST_CASE("a driver's own poll is direct whatever the list_owner says", "[PP-22][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  host.list_owner = -1;  // threaded NAPI
  pool.recycle_direct(host.softirq, host.take(pool));
  CHECK(pool.stats.recycle_cached == 1);
}

TEST_CASE("PREEMPT_RT has no implicit direct return", "[PP-21][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool({.preempt_rt = true});
  host.pools.put_page(host.softirq, host.take(pool));
  CHECK(pool.stats.recycle_ring == 1);
}

TEST_CASE("a system pool is direct on its own CPU", "[PP-5][PP-21][page_pool]") {
  MemoryHost host;
  host.pools.create_system_pools();
  PagePool& pool = host.pools.system_pool(1);
  CHECK(pool.ring().size() == 256);
  MemoryContext own = host.on(1, true);
  MemoryContext other = host.on(0, true);
  const PageId a = pool.alloc(own);
  const PageId b = pool.alloc(own);
  host.pools.put_page(own, a);
  host.pools.put_page(other, b);
  CHECK(pool.stats.recycle_cached == 1);
  CHECK(pool.stats.recycle_ring == 1);
}

TEST_CASE("a page that somebody else refers to leaves the pool for good", "[PP-23][PP-26][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const PageId page = host.take(pool, PagePlace::socket);
  host.allocator.get_page(page);
  const std::uint64_t outside_pools = host.allocator.nr_free_pages() + host.allocator.nr_pcp_pages();
  pool.recycle_direct(host.softirq, page);
  CHECK(pool.stats.recycle_released_refcnt == 1);
  CHECK(pool.release_cnt() == 1);
  CHECK(host.allocator.page(page).pool == 0);
  CHECK(host.allocator.nr_free_pages() + host.allocator.nr_pcp_pages() == outside_pools);
  host.allocator.put_page(host.softirq, page);  // the other holder lets go
  CHECK(host.allocator.nr_free_pages() + host.allocator.nr_pcp_pages() == outside_pools + 1);
}

TEST_CASE("a pfmemalloc page is not recycled", "[PP-23][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const PageId page = host.take(pool);
  host.allocator.page(page).flags |= page_flag::pfmemalloc;
  pool.recycle_direct(host.softirq, page);
  CHECK(pool.stats.recycle_released_refcnt == 1);
}

TEST_CASE("a full cache is counted and the page goes to the ring", "[PP-24][PP-28][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const auto pages = take(host, pool, 192);
  for (const PageId page : pages) pool.recycle_direct(host.softirq, page);
  CHECK(pool.cache_count() == 128);
  CHECK(pool.stats.recycle_cached == 128);
  CHECK(pool.stats.recycle_cache_full == 64);
  CHECK(pool.stats.recycle_ring == 64);
}

TEST_CASE("a full ring releases the page to the freeing CPU's list", "[PP-25][PP-26][PP-28][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool({.pool_size = 32});
  const auto pages = take(host, pool, 64);
  MemoryContext elsewhere = host.on(1, true);
  for (const PageId page : pages) pool.put_full_page(elsewhere, page, false);
  CHECK(pool.stats.recycle_ring == 32);
  CHECK(pool.stats.recycle_ring_full == 32);
  CHECK(pool.stats.ring_full_released == 32);
  CHECK(pool.release_cnt() == 32);
  CHECK(host.zone().pcp(1).count() == 32);
  CHECK(pool.stats.recycle_ring + pool.stats.recycle_cached + pool.stats.ring_full_released == 64);
}

TEST_CASE("the producer lock costs more when it comes from another CPU", "[PP-27][page_pool]") {
  MemoryPrices prices;
  prices.ring_lock = nanoseconds(10);
  prices.ring_lock_transfer = nanoseconds(40);
  prices.ring_produce = nanoseconds(3);
  MemoryHost host(MemoryParameters::single_node(gib, 3), prices);
  PagePool& pool = host.pool();
  const auto pages = take(host, pool, 3);
  MemoryContext one = host.on(1, true);
  pool.put_full_page(one, pages[0], false);
  CHECK(one.cost == nanoseconds(53));
  pool.put_full_page(one, pages[1], false);
  CHECK(one.cost == nanoseconds(66));
  MemoryContext two = host.on(2, true);
  pool.put_full_page(two, pages[2], false);
  CHECK(two.cost == nanoseconds(53));
  CHECK(pool.stats.ring_lock_transfers == 2);
}

TEST_CASE("a bulk of frames is flushed at 16 and at the end", "[PP-30][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const auto pages = take(host, pool, 20);
  XdpFrameBulk bulk;
  MemoryContext elsewhere = host.on(1, true);
  for (std::uint32_t i = 0; i < 16; ++i) bulk.return_page(host.pools, elsewhere, pages[i]);
  CHECK(pool.ring_count() == 0);
  bulk.return_page(host.pools, elsewhere, pages[16]);
  CHECK(pool.ring_count() == 16);
  for (std::uint32_t i = 17; i < 20; ++i) bulk.return_page(host.pools, elsewhere, pages[i]);
  bulk.flush(host.pools, elsewhere);
  CHECK(pool.ring_count() == 20);
}

TEST_CASE("a bulk return takes each pool's lock once and skips shared pages", "[PP-31][page_pool]") {
  MemoryPrices prices;
  prices.ring_lock = nanoseconds(10);
  MemoryHost host(MemoryParameters::single_node(gib, 2), prices);
  PagePool& a = host.pool();
  PagePool& b = host.pool();
  std::vector<PageId> pages = {host.take(a), host.take(b), host.take(a), host.take(b), host.take(a)};
  a.fragment(pages[4], 2);
  MemoryContext process = host.on(1, false);
  host.pools.put_netmem_bulk(process, pages);
  CHECK(process.cost == nanoseconds(20));
  CHECK(a.stats.recycle_ring == 2);
  CHECK(b.stats.recycle_ring == 2);
  CHECK(a.outside() == 1);
}

TEST_CASE("a bulk return is direct per pool", "[PP-21][PP-31][page_pool]") {
  MemoryHost host;
  PagePool& mine = host.pool();
  PagePool& foreign = host.pools.create({});
  std::vector<PageId> pages = {host.take(foreign), host.take(mine), host.take(mine)};
  host.pools.put_netmem_bulk(host.softirq, pages);
  CHECK(mine.stats.recycle_cached == 2);
  CHECK(foreign.stats.recycle_ring == 1);
}

TEST_CASE("a ring that fills up during a bulk is counted once", "[PP-32][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool({.pool_size = 20});
  auto pages = take(host, pool, 32);
  MemoryContext elsewhere = host.on(1, true);
  host.pools.put_netmem_bulk(elsewhere, std::span(pages.data(), 16));
  host.pools.put_netmem_bulk(elsewhere, std::span(pages.data() + 16, 16));
  CHECK(pool.stats.recycle_ring == 20);
  CHECK(pool.stats.recycle_ring_full == 1);
  CHECK(pool.stats.ring_full_released == 12);
  CHECK(pool.release_cnt() == 12);
}

TEST_CASE("slices of one page follow each other until it is used up", "[PP-45][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  std::uint32_t offset = 99;
  const PageId first = pool.alloc_frag(host.softirq, offset, 1500);
  CHECK(offset == 0);
  CHECK(pool.alloc_frag(host.softirq, offset, 1500) == first);
  CHECK(offset == 1500);
  const PageId second = pool.alloc_frag(host.softirq, offset, 1500);
  CHECK(second != first);
  CHECK(offset == 0);
  // The drained page is owned by its two users alone.
  CHECK(host.allocator.page(first).pp_ref_count == 2);
  host.allocator.page(first).place = PagePlace::stack;
  pool.recycle_direct(host.softirq, first);
  pool.recycle_direct(host.softirq, first);
  CHECK(pool.stats.recycle_cached == 1);
}

TEST_CASE("slices are aligned to the DMA cache alignment", "[PP-45][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool({.dma_cache_alignment = 64});
  std::uint32_t offset = 0;
  pool.alloc_frag(host.softirq, offset, 100);
  pool.alloc_frag(host.softirq, offset, 100);
  CHECK(offset == 128);
}

TEST_CASE("a page whose slices all came back is sliced again without leaving", "[PP-45][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  std::uint32_t offset = 0;
  const PageId first = pool.alloc_frag(host.softirq, offset, 3000);
  CHECK_FALSE(pool.unref(first, 1));
  const PagePoolStats before = pool.stats;
  CHECK(pool.alloc_frag(host.softirq, offset, 3000) == first);
  CHECK(offset == 0);
  CHECK(pool.stats.recycle_cached == before.recycle_cached + 1);
  CHECK(pool.stats.alloc_fast == before.alloc_fast + 1);
}

TEST_CASE("a drained page that is referenced elsewhere is given up", "[PP-23][PP-45][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  std::uint32_t offset = 0;
  const PageId first = pool.alloc_frag(host.softirq, offset, 3000);
  pool.unref(first, 1);
  host.allocator.get_page(first);
  CHECK(pool.alloc_frag(host.softirq, offset, 3000) != first);
  CHECK(pool.release_cnt() == 1);
}

TEST_CASE("a request over half a page gets the page, a small rest is added to the slice", "[PP-46][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  std::uint32_t offset = 1;
  std::uint32_t size = 2049;
  pool.alloc_va(host.softirq, offset, size);
  CHECK(offset == 0);
  CHECK(size == 4096);
  size = 1500;
  pool.alloc_va(host.softirq, offset, size);
  CHECK(size == 1500);
  size = 1500;
  pool.alloc_va(host.softirq, offset, size);
  CHECK(offset == 1500);
  CHECK(size == 2596);
}

TEST_CASE("inflight is hold - release and covers cache, ring and everything outside", "[PP-50][PP-51][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  take(host, pool, 10);
  CHECK(pool.inflight() == 64);
  CHECK(pool.outside() == 10);
  CHECK(static_cast<std::uint32_t>(pool.inflight()) == pool.cache_count() + pool.ring_count() + 10);
  CHECK(pool.hold_cnt() - pool.release_cnt() == 64);
}

TEST_CASE("a pool with nothing out is gone at once", "[PP-52][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  pool.recycle_direct(host.softirq, host.take(pool));
  CHECK(host.pools.destroy(host.softirq, pool));
  CHECK(host.allocator.nr_free_pages() + host.allocator.nr_pcp_pages() == host.allocator.total_pages());
  CHECK(host.pools.next_retry() == Time::never());
}

TEST_CASE("a pool with pages out is detached and tries again every second", "[PP-52][PP-54][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const auto pages = take(host, pool, 2);
  host.softirq.now = milliseconds(5);
  CHECK_FALSE(host.pools.destroy(host.softirq, pool));
  CHECK(pool.detached());
  CHECK(pool.detach_time() == milliseconds(5));
  CHECK(pool.cache_count() == 0);
  CHECK(host.pools.next_retry() == milliseconds(1005));
  // Direct recycling is off; the page waits in the ring for the next scrub.
  host.pools.put_page(host.softirq, pages[0]);
  CHECK(pool.ring_count() == 1);
  CHECK(pool.inflight() == 2);
  host.softirq.now = milliseconds(1005);
  host.pools.retry(host.softirq);
  CHECK(pool.inflight() == 1);
  host.pools.put_page(host.softirq, pages[1]);
  host.softirq.now = milliseconds(2005);
  host.pools.retry(host.softirq);
  CHECK(host.pools.detached_count() == 0);
  CHECK(host.allocator.nr_free_pages() + host.allocator.nr_pcp_pages() == host.allocator.total_pages());
}

TEST_CASE("a stalled shutdown is reported after 60 s and every 60 s, once the netdev is gone", "[PP-53][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  host.take(pool);
  REQUIRE_FALSE(host.pools.destroy(host.softirq, pool));
  const auto run_until = [&](std::int64_t second) {
    while (host.pools.next_retry() <= seconds(second)) {
      host.softirq.now = host.pools.next_retry();
      host.pools.retry(host.softirq);
    }
  };
  run_until(90);
  CHECK(pool.stall_warning().count == 0);  // the user still sees the pool
  pool.orphan();
  run_until(91);
  CHECK(pool.stall_warning().count == 1);
  CHECK(pool.stall_warning().inflight == 1);
  CHECK(pool.stall_warning().seconds == 91);
  run_until(150);
  CHECK(pool.stall_warning().count == 1);
  run_until(151);
  CHECK(pool.stall_warning().count == 2);
}

TEST_CASE("a netdev that goes away leaves its pools behind without it", "[PP-55][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  host.take(pool);
  host.pools.destroy(host.softirq, pool);
  CHECK(pool.parameters().has_netdev);
  pool.orphan();
  CHECK_FALSE(pool.parameters().has_netdev);
  CHECK(host.pools.find(pool.id()) == &pool);
}

TEST_CASE("the current fragment page is given up with the pool", "[PP-45][PP-52][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  std::uint32_t offset = 0;
  const PageId page = pool.alloc_frag(host.softirq, offset, 1000);
  CHECK_FALSE(host.pools.destroy(host.softirq, pool));
  CHECK(host.allocator.page(page).pp_ref_count == 1);  // the one slice that is still out
  host.allocator.page(page).place = PagePlace::stack;
  host.pools.put_page(host.softirq, page);
  host.softirq.now = seconds(1);
  host.pools.retry(host.softirq);
  CHECK(host.pools.detached_count() == 0);
}

TEST_CASE("a destroyed pool unmaps what is still out, once", "[PP-15][PP-52][page_pool]") {
  MemoryPrices prices;
  prices.dma_unmap = nanoseconds(100);
  for (const KernelRelease release : {KernelRelease{6, 15}, KernelRelease{6, 16}}) {
    MemoryParameters parameters = MemoryParameters::single_node(gib, 2);
    parameters.release = release;
    MemoryHost host(parameters, prices);
    PagePool& pool = host.pool({.dma_map = true});
    const auto pages = take(host, pool, 64);
    host.softirq.cost = {};
    host.pools.destroy(host.softirq, pool);
    CHECK(host.softirq.cost == (release.minor == 16 ? nanoseconds(6400) : Time{}));
    for (const PageId page : pages) host.pools.put_page(host.softirq, page);
    host.softirq.now = seconds(1);
    host.pools.retry(host.softirq);
    CHECK(host.softirq.cost == nanoseconds(6400));
  }
}

}  // namespace rxpool
