// The invariants of the kernel model that concern memory (1 to 7, 12, 13) over random operation sequences on a host
// with pools, direct allocations, a background user and kswapd; and, for each of them and each place of the page
// ledger, a deliberate fault that the check has to find.

#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <vector>

#include "models/memory/background.hpp"
#include "tests/memory/memory_fixture.hpp"

namespace rxpool {
namespace {

constexpr unsigned first_outside = static_cast<unsigned>(PagePlace::posted);

struct Held {
  PageId page;
  std::uint16_t pool;  ///< 0: from the allocator
};

struct World {
  World() : host(parameters()), cache(host.allocator, {.time_per_page = microseconds(3), .reclaimable = true}) {
    pools[0] = &host.pool({.pool_size = 64});
    pools[1] = &host.pool({.pool_size = 512});
    cache.prefill(host.allocator.nr_free_pages() * 3 / 4);
  }
  static MemoryParameters parameters() {
    MemoryParameters p = MemoryParameters::single_node(256 * mib, 3);
    p.kswapd = {.wake_latency = microseconds(30), .time_per_page = microseconds(1)};
    return p;
  }

  void hold(PageId page, std::uint16_t pool, PagePlace place) {
    host.allocator.page(page).place = place;
    ++places[static_cast<unsigned>(place)];
    held.push_back({page, pool});
  }
  void let_go(std::size_t index) {
    --places[static_cast<unsigned>(host.allocator.page(held[index].page).place)];
    held[index] = held.back();
    held.pop_back();
  }

  MemoryHost host;
  Background cache;
  PagePool* pools[2];
  std::vector<Held> held;
  std::array<std::uint64_t, page_place_count> places{};  ///< what the holders count, `posted` and after
  PagePoolStats last[2];
  bool direct_from_elsewhere = false;  ///< a return went into the cache that was not in the pool's own NAPI

  /// The page comes home; what is behind the two conditions of PP-21 may go into the cache, nothing else.
  void put(MemoryContext& ctx, const Held& page) {
    if (page.pool == 0) {
      host.allocator.put_page(ctx, page.page);
      return;
    }
    const PagePoolStats& stats = pools[page.pool == pools[0]->id() ? 0 : 1]->stats;
    const std::uint64_t cached = stats.recycle_cached;
    host.pools.put_page(ctx, page.page);
    note_direct(ctx, stats.recycle_cached - cached);
  }
  void note_direct(const MemoryContext& ctx, std::uint64_t pushed) {
    const bool own = ctx.in_softirq && host.list_owner == static_cast<std::int32_t>(ctx.cpu);
    if (pushed > 0 && !own) direct_from_elsewhere = true;
  }
};

/// Invariant 6 in plain numbers.
struct PcpNumbers {
  int count, high, high_min, high_max, batch, alloc_factor;

  static PcpNumbers of(const PerCpuPages& pcp) {
    return {pcp.count(), pcp.high(), pcp.high_min(), pcp.high_max(), pcp.batch(), pcp.alloc_factor()};
  }
  /// A flush takes at least one page beyond `high` (PA-22), so between two looks a list may exceed high_max by no more
  /// than the frees of one step; one refill brings batch << 5 pages at most (PA-13).
  bool within_limits() const {
    return alloc_factor >= 0 && alloc_factor <= 5 && high >= high_min && high <= high_max && batch >= 1 &&
           batch <= 2016 && count >= 0 && count <= high_max + (batch << 5);
  }
};

void step(World& world, TestRandom& random) {
  MemoryHost& host = world.host;
  MemoryContext ctx = host.on(static_cast<std::uint16_t>(random.below(3)), random.below(4) != 0);
  ctx.now = host.softirq.now += microseconds(1);
  PagePool& pool = *world.pools[random.below(2)];
  const auto place = static_cast<PagePlace>(first_outside + random.below(page_place_count - first_outside));
  const std::uint32_t kind = random.below(100);
  const bool more = ctx.now.ps / milliseconds(20).ps % 2 == 0;
  if (kind < (more ? 60U : 35U)) {
    const PageId page = pool.alloc(ctx);
    if (page != no_page) world.hold(page, pool.id(), place);
  } else if (kind < 90) {
    if (world.held.empty()) return;
    const std::size_t index = random.below(static_cast<std::uint32_t>(world.held.size()));
    const Held held = world.held[index];
    world.let_go(index);
    world.put(ctx, held);
  } else if (kind < 95) {
    const PageId page = host.allocator.alloc_pages(ctx, gfp::pool_default, 0);
    if (page != no_page) world.hold(page, 0, place);
  } else if (kind == 95) {
    host.allocator.vmstat_tick(ctx);
  } else {
    host.list_owner = static_cast<std::int32_t>(random.below(4)) - 1;
  }
  if (world.cache.next_step() <= ctx.now) world.cache.step(ctx);
  Kswapd& kswapd = host.allocator.kswapd(0);
  if (kswapd.next_step() <= ctx.now) kswapd.step(ctx);
}

// Empty when all is well, otherwise which invariant does not hold.
std::string violation(World& world) {
  PageAllocator& allocator = world.host.allocator;
  std::uint64_t outside = 0;
  for (unsigned place = first_outside; place < page_place_count; ++place) outside += world.places[place];
  std::uint64_t in_pools = 0;
  std::int64_t pool_outside = 0;
  for (unsigned i = 0; i < 2; ++i) {
    const PagePool& pool = *world.pools[i];
    in_pools += pool.cache_count() + pool.ring_count();
    pool_outside += pool.outside();
    if (pool.inflight() < 0 || pool.outside() < 0) return "2: negative inflight";
    if (pool.cache_count() > 128) return "3: cache over 128";
    const PagePoolStats& s = pool.stats;
    if (pool.hold_cnt() > 64 * s.alloc_slow + s.alloc_slow_high_order) return "4: more held than bulks can bring";
    if (s.page_pool_state_hold != pool.hold_cnt() || s.page_pool_state_release != pool.release_cnt()) {
      return "12: tracepoints";
    }
    const PagePoolStats& last = world.last[i];
    if (s.alloc_fast < last.alloc_fast || s.alloc_slow < last.alloc_slow || s.recycle_ring < last.recycle_ring ||
        s.recycle_cached < last.recycle_cached || s.alloc_refill < last.alloc_refill) {
      return "13: a counter fell";
    }
    if (s.recycle_ring_full > s.ring_full_released) return "13: ring_full over the pages released for it";
    world.last[i] = s;
  }
  std::array<std::uint64_t, page_place_count> tags{};
  std::int64_t of_pools = 0;
  for (const Held& held : world.held) {
    ++tags[static_cast<unsigned>(allocator.page(held.page).place)];
    of_pools += held.pool != 0 ? 1 : 0;
  }
  if (tags != world.places) return "ledger: tags and counts differ";
  if (of_pools != pool_outside) return "2: outside is not what the holders hold";
  if (allocator.nr_free_pages() + allocator.nr_pcp_pages() + in_pools + outside + world.cache.held_pages() !=
      allocator.total_pages()) {
    return "1: page conservation";
  }
  const Zone& zone = world.host.zone();
  for (std::uint16_t cpu = 0; cpu < 3; ++cpu) {
    if (!PcpNumbers::of(zone.pcp(cpu)).within_limits()) return "6: per-CPU list out of its limits";
  }
  if (world.direct_from_elsewhere) return "5: a direct return from outside the pool's NAPI";
  return "";
}

}  // namespace

TEST_CASE("the memory invariants hold over a random run under pressure", "[invariants][PA-24][PP-51]") {
  World world;
  TestRandom random(99);
  for (int i = 0; i < 300'000; ++i) {
    step(world, random);
    if (i % 50 == 0) REQUIRE(violation(world).empty());
    if (i % 20'000 == 0) {
      world.host.allocator.verify();
      for (PagePool* pool : world.pools) pool->verify();
    }
  }
  // The run was where it matters.
  CHECK(world.host.allocator.kswapd(0).stats.pgsteal_kswapd > 1000);
  CHECK(world.pools[0]->stats.recycle_ring_full > 100);
  CHECK(world.pools[0]->stats.alloc_refill > 100);
}

TEST_CASE("each broken invariant is found", "[invariants]") {
  World world;
  TestRandom random(5);
  for (int i = 0; i < 20'000; ++i) step(world, random);
  REQUIRE(violation(world).empty());
  REQUIRE_FALSE(world.held.empty());
  MemoryHost& host = world.host;
  const Held victim = world.held[0];
  const auto place = static_cast<unsigned>(host.allocator.page(victim.page).place);

  SECTION("a page of each place is counted twice") {
    const unsigned twice = GENERATE(range(first_outside, page_place_count));
    ++world.places[twice];
    CHECK(violation(world) == "ledger: tags and counts differ");
  }
  SECTION("a page of each place is leaked by its holder") {
    const unsigned lost = GENERATE(range(first_outside, page_place_count));
    for (std::size_t i = 0; i < world.held.size(); ++i) {
      if (static_cast<unsigned>(host.allocator.page(world.held[i].page).place) == lost) {
        world.let_go(i);
        break;
      }
    }
    CHECK_FALSE(violation(world).empty());
  }
  SECTION("a holder counts in the wrong place") {
    --world.places[place];
    ++world.places[place == first_outside ? place + 1 : first_outside];
    CHECK(violation(world) == "ledger: tags and counts differ");
  }
  SECTION("zone free: a page vanishes from the buddy lists") {
    bool boost = false;
    host.zone().buddy().take(0, MigrateType::unmovable, boost);
    CHECK(violation(world) == "1: page conservation");
  }
  SECTION("zone free: a held page is freed behind its holder's back") {
    host.zone().buddy().give(victim.page, 0);
    CHECK_FALSE(violation(world).empty());
  }
  SECTION("pcp: a page leaves a list without arriving anywhere") {
    MemoryContext ctx = host.on(0, true);
    host.zone().rmqueue_pcplist(ctx, 0, MigrateType::unmovable);
    CHECK(violation(world) == "1: page conservation");
  }
  SECTION("pool: a page is taken and not counted by anybody") {
    world.pools[0]->alloc(host.softirq);
    CHECK_FALSE(violation(world).empty());
  }
  SECTION("pool: a held page is returned and still counted by its holder") {
    std::size_t index = 0;
    while (world.held[index].pool == 0) ++index;
    host.pools.put_page(host.softirq, world.held[index].page);
    CHECK_FALSE(violation(world).empty());
  }
  SECTION("the same page returned twice stops the run") {
    std::size_t index = 0;
    while (world.held[index].pool == 0) ++index;
    host.pools.put_page(host.softirq, world.held[index].page);
    CHECK_THROWS_AS(host.pools.put_page(host.softirq, world.held[index].page), BugError);
  }
  SECTION("a page returned to the wrong pool stops the run") {
    std::size_t index = 0;
    while (world.held[index].pool != world.pools[0]->id()) ++index;
    CHECK_THROWS_AS(world.pools[1]->put_full_page(host.softirq, world.held[index].page, true), BugError);
  }
  SECTION("a page freed to the allocator twice stops the run") {
    const PageId page = host.allocator.alloc_pages(host.softirq, gfp::pool_default | gfp::memalloc, 0);
    host.allocator.put_page(host.softirq, page);
    CHECK_THROWS_AS(host.allocator.put_page(host.softirq, page), BugError);
  }
  SECTION("a cached page that is tagged as elsewhere stops the run") {
    MemoryContext ctx = host.on(0, true);
    const PageId page = world.pools[0]->alloc(ctx);
    world.pools[0]->recycle_direct(ctx, page);
    host.allocator.page(page).place = PagePlace::stack;
    CHECK_THROWS_AS(world.pools[0]->verify(), BugError);
    CHECK_THROWS_AS(world.pools[0]->alloc(ctx), BugError);
  }
  SECTION("a tracepoint that is not counted") {
    ++world.pools[1]->stats.page_pool_state_hold;
    CHECK(violation(world) == "12: tracepoints");
  }
  SECTION("a counter that falls") {
    world.pools[1]->stats.alloc_fast -= 1;
    CHECK(violation(world) == "13: a counter fell");
  }
  SECTION("a push into the cache from another CPU than the NAPI's") {
    std::size_t index = 0;
    while (world.held[index].pool != world.pools[0]->id()) ++index;
    host.list_owner = 0;
    MemoryContext elsewhere = host.on(1, true);
    const std::uint64_t cached = world.pools[0]->stats.recycle_cached;
    MemoryContext own = host.on(0, true);
    while (world.pools[0]->cache_count() == 128) host.allocator.put_page(own, world.pools[0]->alloc(own));
    const PageId page = world.held[index].page;
    world.let_go(index);
    world.pools[0]->put_full_page(elsewhere, page, true);
    world.note_direct(elsewhere, world.pools[0]->stats.recycle_cached - cached);
    CHECK(violation(world) == "5: a direct return from outside the pool's NAPI");
  }
  SECTION("more slow pages than bulks") {
    world.pools[1]->stats.alloc_slow = 0;
    CHECK(violation(world) == "4: more held than bulks can bring");
  }
}

TEST_CASE("a per-CPU list beyond one of its limits is found", "[invariants][PA-12][PA-13]") {
  MemoryHost host(2 * gib, 2);
  const PcpNumbers right = PcpNumbers::of(host.zone().pcp(0));
  REQUIRE(right.within_limits());
  const auto broken = [&](auto&& change) {
    PcpNumbers wrong = right;
    change(wrong);
    return !wrong.within_limits();
  };
  CHECK(broken([](PcpNumbers& n) { n.alloc_factor = 6; }));
  CHECK(broken([](PcpNumbers& n) { n.alloc_factor = -1; }));
  CHECK(broken([](PcpNumbers& n) { n.high = n.high_min - 1; }));
  CHECK(broken([](PcpNumbers& n) { n.high = n.high_max + 1; }));
  CHECK(broken([](PcpNumbers& n) { n.batch = 0; }));
  CHECK(broken([](PcpNumbers& n) { n.batch = 2017; }));
  CHECK(broken([](PcpNumbers& n) { n.count = -1; }));
  CHECK(broken([](PcpNumbers& n) { n.count = n.high_max + (n.batch << 5) + 1; }));
}

TEST_CASE("at the moment an atomic request passes, free exceeds 3/8 of min", "[invariants][PA-44][PA-47]") {
  MemoryHost host(2 * gib, 2);
  const std::uint64_t floor = host.zone().wmark_pages(Watermark::min) * 3 / 8;
  const int before_limit = 2016;
  for (;;) {
    const std::uint64_t free = host.zone().nr_free_pages();
    if (host.allocator.alloc_pages(host.softirq, gfp::pool_default, 0) == no_page) {
      CHECK(free <= floor);
      break;
    }
    if (free <= floor) FAIL("an atomic request passed below the floor");
    if (host.zone().nr_free_pages() + before_limit < free) FAIL("a bulk of more than 2016");
  }
}

TEST_CASE("metadata does not grow with the simulated memory, nor in the steady state", "[page]") {
  MemoryParameters parameters = MemoryParameters::single_node(256 * gib, 16);
  MemoryHost host(parameters);
  Background cache(host.allocator, {.time_per_page = microseconds(1), .reclaimable = true});
  cache.prefill(host.allocator.nr_free_pages() - 200'000);
  CHECK(host.allocator.pages().resident_bytes() < 1 * mib);
  PagePool& pool = host.pool({.pool_size = 8192});
  std::vector<PageId> pages;
  for (int i = 0; i < 16384; ++i) pages.push_back(host.take(pool));
  const std::size_t used = host.allocator.pages().resident_bytes();
  CHECK(used < 2 * mib);
  for (int round = 0; round < 200; ++round) {
    for (PageId& page : pages) {
      pool.put_full_page(host.softirq, page, round % 2 == 0);
      page = host.take(pool);
    }
  }
  CHECK(host.allocator.pages().resident_bytes() == used);
}

}  // namespace rxpool
