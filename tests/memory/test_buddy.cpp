#include <catch2/catch.hpp>

#include <vector>

#include "tests/memory/memory_fixture.hpp"

namespace rxpool {
namespace {

struct Lists {
  explicit Lists(std::uint64_t blocks) : pages(1024 * (blocks + 1)), buddy(pages, 1024, blocks * 1024) {}
  PageId take(unsigned order, MigrateType type = MigrateType::unmovable) { return buddy.take(order, type, boost); }
  PageTable pages;
  Buddy buddy;
  bool boost = false;
};

}  // namespace

TEST_CASE("a block is split downward and merged upward again", "[PA-15][PA-23][buddy]") {
  Lists lists(2);
  const PageId page = lists.take(0);
  CHECK(lists.buddy.free_pages() == 2047);
  for (unsigned order = 0; order < 10; ++order) {
    CHECK(lists.buddy.free_blocks(order, MigrateType::unmovable) == 1);
  }
  lists.buddy.verify();
  lists.buddy.give(page, 0);
  CHECK(lists.buddy.free_blocks(10, MigrateType::unmovable) == 1);
  CHECK(lists.buddy.free_blocks(10, MigrateType::movable) == 1);
  CHECK(lists.buddy.free_blocks(0, MigrateType::unmovable) == 0);
  lists.buddy.verify();
}

TEST_CASE("neighbouring pages come out in ascending order", "[PA-15][buddy]") {
  Lists lists(1);
  const PageId first = lists.take(0);
  for (PageId i = 1; i < 100; ++i) CHECK(lists.take(0) == first + i);
}

TEST_CASE("the largest foreign block is claimed with its pageblocks, without boost", "[PA-15][PA-42][buddy]") {
  Lists lists(4);
  lists.take(0);
  CHECK(lists.buddy.fallback_stats().extfrag == 1);
  CHECK(lists.buddy.fallback_stats().claimed_pageblocks == 2);
  CHECK_FALSE(lists.boost);
  for (int i = 1; i < 1024; ++i) lists.take(0);
  CHECK(lists.buddy.fallback_stats().extfrag == 1);  // the rest came from the claimed block
  lists.take(0);
  CHECK(lists.buddy.fallback_stats().extfrag == 2);
}

TEST_CASE("fallback order: reclaimable before movable for unmovable requests", "[PA-15][buddy]") {
  Lists lists(2);
  const PageId reclaimable = lists.take(10, MigrateType::reclaimable);
  lists.buddy.give(reclaimable, 10);
  REQUIRE(lists.buddy.free_blocks(10, MigrateType::reclaimable) == 1);
  CHECK(lists.take(0, MigrateType::unmovable) / 1024 == reclaimable / 1024);
}

TEST_CASE("a mostly used movable pageblock is not claimed, one page is stolen from it, and the zone is boosted",
          "[PA-15][PA-42][buddy]") {
  Lists lists(1);
  std::vector<PageId> held;
  for (PageId page = lists.take(0, MigrateType::movable); page != no_page; page = lists.take(0, MigrateType::movable)) {
    lists.pages[page].flags = page_flag::movable;
    lists.pages[page].place = PagePlace::other;
    held.push_back(page);
  }
  REQUIRE(held.size() == 1024);
  lists.buddy.give(held[10], 0);
  CHECK(lists.take(0) == held[10]);
  CHECK(lists.boost);
  CHECK(lists.buddy.pageblock_type(held[10]) == MigrateType::movable);
  // With half the pageblock free it changes hands.
  for (int i = 11; i < 280; ++i) lists.buddy.give(held[static_cast<std::size_t>(i)], 0);
  lists.take(0);
  CHECK(lists.buddy.pageblock_type(held[10]) == MigrateType::unmovable);
  lists.buddy.verify();
}

TEST_CASE("random takes and gives keep every list right and end in whole blocks", "[PA-23][buddy]") {
  Lists lists(8);
  TestRandom random(11);
  std::vector<std::pair<PageId, unsigned>> held;
  for (int i = 0; i < 200000; ++i) {
    if (random.below(100) < (i % 20000 < 10000 ? 60U : 40U)) {
      const unsigned order = random.below(20) == 0 ? random.below(11) : random.below(3);
      const PageId page = lists.take(order, static_cast<MigrateType>(random.below(3)));
      if (page != no_page) {
        REQUIRE(page % (1U << order) == 0);
        lists.pages[page].place = PagePlace::other;
        held.emplace_back(page, order);
      }
    } else if (!held.empty()) {
      const std::size_t index = random.below(static_cast<std::uint32_t>(held.size()));
      lists.buddy.give(held[index].first, held[index].second);
      held[index] = held.back();
      held.pop_back();
    }
    if (i % 2000 == 0) lists.buddy.verify();
  }
  for (const auto& [page, order] : held) lists.buddy.give(page, order);
  lists.buddy.verify();
  CHECK(lists.buddy.free_pages() == 8 * 1024);
  std::uint64_t whole = 0;
  for (unsigned type = 0; type < migrate_type_count; ++type) {
    whole += lists.buddy.free_blocks(10, static_cast<MigrateType>(type));
  }
  CHECK(whole == 8);
}

TEST_CASE("a wrong tag, flag or link in a free list is found", "[buddy]") {
  const int what = GENERATE(0, 1, 2, 3);
  Lists lists(1);
  lists.take(0);
  const PageId victim = lists.take(0) + 1;  // head of the free pair next to it
  REQUIRE_NOTHROW(lists.buddy.verify());
  if (what == 0) lists.pages[victim].place = PagePlace::pcp;
  if (what == 1) lists.pages[victim].order = 5;
  if (what == 2) lists.pages[victim].flags = 0;
  if (what == 3) lists.pages[victim].prev = 17;
  CHECK_THROWS_AS(lists.buddy.verify(), BugError);
}

TEST_CASE("order > 0 atomics get a reserve of pageblocks, order-0 atomics may use it last", "[PA-43][PA-45][zone]") {
  MemoryHost host(4 * gib, 1);
  // Down to the low mark with order 0, then an order-5 atomic has to take the slow path.
  host.take_until(host.zone().wmark_pages(Watermark::low));
  REQUIRE(host.zone().reserved_highatomic() == 0);
  REQUIRE(host.allocator.alloc_pages(host.softirq, gfp::atomic, 5) != no_page);
  CHECK(host.zone().reserved_highatomic() == pageblock_pages);
  CHECK(host.zone().buddy().free_pages(MigrateType::highatomic) > 0);
  host.allocator.verify();
  // 1 % of 4 GiB is 10485 pages, rounded up to 21 pageblocks.
  for (int i = 0; i < 100; ++i) host.allocator.alloc_pages(host.softirq, gfp::atomic, 5);
  CHECK(host.zone().reserved_highatomic() > pageblock_pages);
  CHECK(host.zone().reserved_highatomic() <= 21 * pageblock_pages);
  host.allocator.verify();
}

}  // namespace rxpool
