#include <catch2/catch.hpp>

#include <vector>

#include "tests/memory/memory_fixture.hpp"

namespace rxpool {
namespace {

MemoryParameters two_nodes() {
  MemoryParameters parameters;
  parameters.nodes = {{{{ZoneKind::normal, gib}}}, {{{ZoneKind::normal, gib}}}};
  parameters.cpu_node = {0, 1};
  return parameters;
}

std::vector<PageId> take(MemoryHost& host, PagePool& pool, std::uint32_t count) {
  std::vector<PageId> pages;
  for (std::uint32_t i = 0; i < count; ++i) pages.push_back(host.take(pool));
  return pages;
}

}  // namespace

TEST_CASE("the ring has pool_size slots, 1024 by default, at most 16384", "[PP-1][PP-4][page_pool]") {
  MemoryHost host;
  CHECK(host.pool().ring().size() == 1024);
  CHECK(host.pool({.pool_size = 512}).ring().size() == 512);
  CHECK(host.pool({.pool_size = 60000}).ring().size() == 16384);
  MemoryParameters older = MemoryParameters::single_node(gib, 1);
  older.release = {6, 12};
  MemoryHost old_host(older);
  CHECK(old_host.pool({.pool_size = 32768}).ring().size() == 32768);
  CHECK_THROWS_AS(old_host.pool({.pool_size = 32769}), InputError);
}

TEST_CASE("parameters that the kernel refuses are the user's error", "[PP-2][PP-3][page_pool]") {
  MemoryHost host;
  CHECK_THROWS_AS(host.pool({.dma_direction = DmaDirection::to_device}), InputError);
  CHECK_THROWS_AS(host.pool({.dma_sync_dev = true, .max_len = 4096}), InputError);
  CHECK_THROWS_AS(host.pool({.dma_map = true, .dma_sync_dev = true, .max_len = 0}), InputError);
  CHECK_NOTHROW(host.pool({.dma_map = true, .dma_sync_dev = true, .max_len = 4096}));
}

TEST_CASE("pool_size does not bound the pages in flight", "[PP-4][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool({.pool_size = 64});
  take(host, pool, 5000);
  CHECK(pool.stats.alloc_failed == 0);
  CHECK(pool.inflight() >= 5000);
}

TEST_CASE("pool ids are unique, start at 1 and are not reused at once", "[PP-6][page_pool]") {
  MemoryHost host;
  PagePool& first = host.pool();
  CHECK(first.id() == 1);
  CHECK(host.pool().id() == 2);
  CHECK(host.pools.destroy(host.softirq, first));
  CHECK(host.pools.find(1) == nullptr);
  CHECK(host.pool().id() == 3);
}

TEST_CASE("the cache gives back the page that was put last", "[PP-10][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const PageId a = host.take(pool);
  const PageId b = host.take(pool);
  pool.recycle_direct(host.softirq, a);
  pool.recycle_direct(host.softirq, b);
  CHECK(host.take(pool) == b);
  CHECK(host.take(pool) == a);
  CHECK(pool.stats.alloc_fast == 3);
}

TEST_CASE("an empty cache takes 64 pages from the ring and counts one refill", "[PP-11][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  const auto pages = take(host, pool, 128);  // two bulks: the cache is empty again
  REQUIRE(pool.cache_count() == 0);
  MemoryContext elsewhere = host.on(1, true);
  for (const PageId page : pages) pool.put_full_page(elsewhere, page, false);
  REQUIRE(pool.ring_count() == 128);
  const PagePoolStats before = pool.stats;
  CHECK(host.take(pool) == pages[63]);  // FIFO into the cache, LIFO out of it
  CHECK(pool.stats.alloc_refill == before.alloc_refill + 1);
  CHECK(pool.cache_count() == 63);
  CHECK(pool.ring_count() == 64);
  CHECK(pool.stats.alloc_empty == before.alloc_empty);
}

TEST_CASE("without recycling, empty and slow move together", "[PP-12][PP-13][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  take(host, pool, 640);
  CHECK(pool.stats.alloc_slow == 10);
  CHECK(pool.stats.alloc_empty == 10);
  CHECK(pool.hold_cnt() == 640);
  CHECK(pool.stats.page_pool_state_hold == 640);
}

TEST_CASE("successful allocations are fast + refill + slow + slow_high_order", "[PP-14][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  PagePool& large = host.pool({.order = 2});
  take(host, pool, 100);
  take(host, large, 7);
  CHECK(pool.stats.alloc_fast + pool.stats.alloc_refill + pool.stats.alloc_slow == 100);
  CHECK(large.stats.alloc_slow_high_order == 7);
  CHECK(large.hold_cnt() == 7);
  CHECK(large.cache_count() == 0);
}

TEST_CASE("a failed allocation counts in no page_pool counter of the kernel", "[PP-13][page_pool]") {
  MemoryHost host(8 * mib);
  PagePool& pool = host.pool();
  while (host.take(pool) != no_page) {
  }
  const PagePoolStats before = pool.stats;
  CHECK(host.take(pool) == no_page);
  CHECK(pool.stats.alloc_slow == before.alloc_slow);
  CHECK(pool.stats.alloc_empty == before.alloc_empty + 1);
  CHECK(pool.stats.alloc_failed == before.alloc_failed + 1);
  CHECK(pool.hold_cnt() == pool.stats.page_pool_state_hold);
}

TEST_CASE("a page that cannot be mapped goes back and is not counted as held", "[PP-13][PP-15][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool({.dma_map = true});
  pool.fail_dma_maps(64);
  CHECK(host.take(pool) == no_page);
  CHECK(pool.hold_cnt() == 0);
  CHECK(host.allocator.nr_free_pages() + host.allocator.nr_pcp_pages() == host.allocator.total_pages());
  pool.fail_dma_maps(10);
  CHECK(host.take(pool) != no_page);
  CHECK(pool.hold_cnt() == 54);
}

TEST_CASE("a page is mapped once when it enters and unmapped when it leaves", "[PP-15][PP-17][page_pool]") {
  MemoryPrices prices;
  prices.dma_map = nanoseconds(100);
  prices.dma_unmap = nanoseconds(300);
  MemoryHost host(MemoryParameters::single_node(gib, 2), prices);
  PagePool& pool = host.pool({.dma_map = true});
  const PageId page = host.take(pool);
  CHECK(host.softirq.cost == nanoseconds(6400));
  for (int i = 0; i < 10; ++i) {
    pool.recycle_direct(host.softirq, page);
    host.take(pool);
  }
  CHECK(host.softirq.cost == nanoseconds(6400));
  host.allocator.get_page(page);
  pool.recycle_direct(host.softirq, page);  // referenced elsewhere: leaves the pool
  CHECK(host.softirq.cost == nanoseconds(6700));
}

TEST_CASE("each recycle syncs for the device unless the device needs none", "[PP-16][page_pool]") {
  MemoryHost host;
  PagePool& syncing = host.pool({.dma_map = true, .dma_sync_dev = true, .max_len = 4096});
  PagePool& coherent = host.pool({.dma_map = true, .dma_sync_dev = true, .dma_dev_need_sync = false, .max_len = 4096});
  syncing.recycle_direct(host.softirq, host.take(syncing));
  coherent.recycle_direct(host.softirq, host.take(coherent));
  CHECK(syncing.stats.dma_syncs == 64 + 1);
  CHECK(coherent.stats.dma_syncs == 0);
  syncing.put_page(host.softirq, host.take(syncing), 0, true);  // nothing was written: nothing to sync
  CHECK(syncing.stats.dma_syncs == 64 + 1);
}

TEST_CASE("a page of the wrong node leaves the pool and ends the refill", "[PP-11][page_pool]") {
  MemoryHost host(two_nodes());
  PagePool& pool = host.pool({.nid = 0});
  const auto pages = take(host, pool, 64);
  MemoryContext elsewhere = host.on(1, true);
  for (const PageId page : pages) pool.put_full_page(elsewhere, page, false);
  pool.nid_changed(host.softirq, 1);
  const PagePoolStats before = pool.stats;
  const PageId page = host.take(pool);
  CHECK(pool.stats.alloc_waive == before.alloc_waive + 1);
  CHECK(pool.stats.alloc_empty == before.alloc_empty);  // a waive is not an empty ring
  CHECK(pool.stats.alloc_slow == before.alloc_slow + 1);
  CHECK(pool.ring_count() == 63);
  CHECK(host.allocator.page(page).node == 1);
}

TEST_CASE("local pages before a remote one make the refill a success", "[PP-11][PP-40][page_pool]") {
  MemoryHost host(two_nodes());
  PagePool& pool = host.pool({.nid = 1});
  const PageId local = host.take(pool);
  pool.nid_changed(host.softirq, 0);
  const PageId remote = host.take(pool);
  pool.nid_changed(host.softirq, 1);  // and the cache is empty
  MemoryContext elsewhere = host.on(1, true);
  pool.put_full_page(elsewhere, local, false);
  pool.put_full_page(elsewhere, remote, false);
  const PagePoolStats before = pool.stats;
  CHECK(host.take(pool) == local);
  CHECK(pool.stats.alloc_refill == before.alloc_refill + 1);
  CHECK(pool.stats.alloc_waive == before.alloc_waive + 1);
  CHECK(pool.stats.alloc_slow == before.alloc_slow);
}

TEST_CASE("a new node empties the cache but not the ring", "[PP-40][page_pool]") {
  MemoryHost host(two_nodes());
  PagePool& pool = host.pool({.nid = 0});
  const auto pages = take(host, pool, 10);
  for (const PageId page : pages) pool.put_full_page(host.softirq, page, false);  // NAPI-local: cache
  MemoryContext elsewhere = host.on(1, true);
  const PageId page = host.take(pool);
  pool.put_full_page(elsewhere, page, false);
  const std::uint32_t released = pool.release_cnt();
  const std::uint32_t cached = pool.cache_count();
  REQUIRE(cached == 63);
  pool.nid_changed(host.softirq, 0);
  CHECK(pool.stats.page_pool_update_nid == 0);
  pool.nid_changed(host.softirq, 1);
  CHECK(pool.stats.page_pool_update_nid == 1);
  CHECK(pool.cache_count() == 0);
  CHECK(pool.ring_count() == 1);
  CHECK(pool.release_cnt() == released + cached);
}

TEST_CASE("a pool without a node prefers the CPU's", "[PP-11][PP-13][page_pool]") {
  MemoryHost host(two_nodes());
  PagePool& pool = host.pool();
  MemoryContext second = host.on(1, true);
  const PageId page = pool.alloc(second);
  CHECK(host.allocator.page(page).node == 1);
}

TEST_CASE("a memory provider replaces the page allocator", "[PP-13][PP-23][page_pool]") {
  struct Chunks : MemoryProvider {
    Chunks(PageAllocator& a, std::uint32_t n) : allocator(a), left(n) {}
    std::uint32_t alloc_netmems(MemoryContext&, PageId* out, std::uint32_t count) override {
      const std::uint32_t given = std::min(count, left);
      for (std::uint32_t i = 0; i < given; ++i) out[i] = allocator.provider_first() + --left;
      return given;
    }
    void release_netmem(MemoryContext&, PageId) override { ++left; }
    PageAllocator& allocator;
    std::uint32_t left;
  };
  MemoryParameters parameters = MemoryParameters::single_node(gib, 2);
  parameters.provider_chunks = 100;
  MemoryHost host(parameters);
  Chunks provider(host.allocator, 100);
  PagePoolParameters p{.dma_map = true, .dma_sync_dev = true, .max_len = 4096, .provider = &provider};
  PagePool& pool = host.pool(p);
  const auto pages = take(host, pool, 100);
  CHECK(host.take(pool) == no_page);  // out of chunks is a failed allocation
  CHECK(host.allocator.nr_free_pages() == host.allocator.total_pages());
  // A net_iov has no page reference to look at: always recycled.
  pool.recycle_direct(host.softirq, pages[0]);
  CHECK(pool.stats.recycle_cached == 1);
  for (std::size_t i = 1; i < pages.size(); ++i) pool.recycle_direct(host.softirq, pages[i]);
  CHECK(host.pools.destroy(host.softirq, pool));
  CHECK(provider.left == 100);
}

TEST_CASE("a core that runs ahead knows when alloc touches ring or zone", "[page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  CHECK(pool.next_alloc_may_touch_zone());
  const PageId page = host.take(pool);
  CHECK_FALSE(pool.next_alloc_may_touch_ring());
  take(host, pool, 63);
  CHECK(pool.next_alloc_may_touch_ring());
  MemoryContext elsewhere = host.on(1, true);
  pool.put_full_page(elsewhere, page, false);
  CHECK(pool.next_alloc_may_touch_ring());
  CHECK_FALSE(pool.next_alloc_may_touch_zone());
}

TEST_CASE("batches do what single calls do", "[PP-10][PP-24][page_pool]") {
  MemoryHost host;
  PagePool& pool = host.pool();
  PageId pages[200];
  CHECK(pool.alloc_batch(host.softirq, pages, 200) == 200);
  CHECK(pool.stats.alloc_slow == 4);
  CHECK(pool.stats.alloc_fast == 196);
  pool.fragment(pages[3], 2);
  host.allocator.get_page(pages[5]);
  REQUIRE(pool.cache_count() == 56);
  pool.recycle_direct_batch(host.softirq, pages, 200);
  CHECK(pool.stats.recycle_cached == 128 - 56);
  CHECK(pool.stats.recycle_released_refcnt == 1);
  CHECK(pool.stats.recycle_cache_full == 200 - 2 - 72);
  CHECK(pool.stats.recycle_ring == 200 - 2 - 72);
  CHECK(pool.outside() == 1);
}

}  // namespace rxpool
