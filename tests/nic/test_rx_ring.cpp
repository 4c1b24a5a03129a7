// Descriptors posted together share one record, and pages are reversed in place: the same as slot by slot.
#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <vector>

#include "models/nic/rx_ring.hpp"
#include "sim/random.hpp"

using namespace rxpool;

TEST_CASE("each descriptor is usable from the instant at which it was posted") {
  RxRing ring(100);
  std::deque<Time> posted_at;  // of each descriptor that the NIC has not used
  RandomStream random(3, 0, "ring");
  Time now{0};
  std::uint64_t id = 0;
  std::uint64_t seen = 0;
  std::uint32_t completed = 0;
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    now += Time{1 + random.bounded(50)};
    const std::uint32_t n = random.bounded(ring.missing() + 1);
    const Time usable = now + Time{random.bounded(100)};
    // As drivers do: what is posted later is not usable earlier.
    const Time at = posted_at.empty() ? usable : std::max(usable, posted_at.back());
    ring.post(n, at);
    posted_at.insert(posted_at.end(), n, at);
    for (std::uint32_t k = random.bounded(40); k > 0; --k) {
      now += Time{1};
      const bool has = !posted_at.empty() && posted_at.front() <= now;
      REQUIRE(ring.has_descriptor(now) == has);
      refused += has ? 0 : 1;
      if (!has) break;
      Packet packet;
      packet.id = id++;
      ring.complete(packet, now);
      posted_at.pop_front();
      ++completed;
    }
    REQUIRE(ring.fill() == posted_at.size());
    const std::size_t adjacent = ring.adjacent_completions().size();
    REQUIRE((adjacent > 0) == (completed > 0));
    REQUIRE(adjacent <= completed);
    const auto polled = static_cast<std::uint32_t>(random.bounded(static_cast<std::uint32_t>(adjacent) + 1));
    for (std::uint32_t k = 0; k < polled; ++k) REQUIRE(ring.adjacent_completions()[k].id == seen++);
    ring.poll(polled);
    completed -= polled;
  }
  CHECK(id > 10000);
  CHECK(refused > 1000);
}

TEST_CASE("reversed pages are those that a stack would give back, also across the end of the ring") {
  for (const std::uint32_t per_page : {1u, 2u}) {
    RxRing ring(64);
    const auto page_in = [&](std::uint32_t ahead) { return ring.page_of(ring.slot_ahead(ahead)); };
    PageId next = 1;
    for (std::uint32_t slot = 0; slot < 64; slot += per_page, ++next) {
      for (std::uint32_t i = 0; i < per_page; ++i) ring.set_page(slot + i, next);
    }
    for (int round = 0; round < 20; ++round) {
      const std::uint32_t ahead = 6;
      const std::uint32_t slots = 12;
      std::vector<PageId> stack;
      std::vector<PageId> others;
      for (std::uint32_t i = 0; i < slots; i += per_page) stack.push_back(page_in(ahead + i));
      for (std::uint32_t i = slots; i < 64; ++i) others.push_back(page_in(ahead + i));
      ring.reverse_pages(ahead, slots, per_page);
      for (std::uint32_t i = 0; i < slots; i += per_page) {
        for (std::uint32_t k = 0; k < per_page; ++k) REQUIRE(page_in(ahead + i + k) == stack.back());
        stack.pop_back();
      }
      for (std::uint32_t i = slots; i < 64; ++i) REQUIRE(page_in(ahead + i) == others[i - slots]);
      // The ring goes on, so that the unit lies elsewhere next time.
      ring.post(10, Time{0});
      for (int k = 0; k < 10; ++k) ring.complete(Packet{}, Time{0});
      ring.poll(10);
    }
  }
}
