// How many pages go back, and where the limit lies.
#include <catch2/catch.hpp>

#include "models/control/page_return.hpp"

using namespace rxpool;

namespace {

PoolLevels levels() {
  PoolLevels l;
  l.step = milliseconds(1);
  l.working_set = 1000;
  l.known = true;
  l.held = 200;
  l.posted = 512;
  l.free_pages = 4000;
  l.ring_pages = 3900;
  return l;
}

std::uint32_t once(ReturnRule rule, const PoolLevels& l) {
  PageReturnParams params;
  params.rule = rule;
  return PageReturn(params).pages_to_return(l);
}

}  // namespace

TEST_CASE("each rule gives back what it says", "[CT-40]") {
  CHECK(once(ReturnRule::never, levels()) == 0);
  CHECK(once(ReturnRule::immediate, levels()) == 3900);
  // Need: 1000 x 1.25 - 200 held = 1050; above it: 2950.
  CHECK(once(ReturnRule::watermark, levels()) == 2950);
  CHECK(once(ReturnRule::paced, levels()) == 64);
  // ln 2 x 1 ms / (100 ms + ln 2 x 1 ms) of 2950.
  CHECK(once(ReturnRule::decay, levels()) == 20);
}

TEST_CASE("no rule takes more than the ring has, or anything that is needed", "[CT-40]") {
  PoolLevels l = levels();
  l.ring_pages = 10;
  for (const ReturnRule rule : {ReturnRule::immediate, ReturnRule::watermark, ReturnRule::paced, ReturnRule::decay}) {
    CHECK(once(rule, l) <= 10);
  }
  l = levels();
  l.free_pages = l.ring_pages = 1050;
  for (const ReturnRule rule : {ReturnRule::watermark, ReturnRule::paced, ReturnRule::decay}) CHECK(once(rule, l) == 0);
  l = levels();
  l.known = false;
  for (const ReturnRule rule : {ReturnRule::watermark, ReturnRule::paced, ReturnRule::decay}) CHECK(once(rule, l) == 0);
}

TEST_CASE("decay halves the excess in its half-life, paced keeps its rate", "[CT-40]") {
  PageReturnParams params;
  params.rule = ReturnRule::decay;
  PageReturn decay(params);
  params.rule = ReturnRule::paced;
  params.pages_per_ms = 2.5;
  PageReturn paced(params);
  PoolLevels d = levels();
  PoolLevels p = levels();
  d.step = p.step = microseconds(100);
  for (int i = 0; i < 1000; ++i) {
    for (auto [rule, l] : {std::pair{&decay, &d}, {&paced, &p}}) {
      const std::uint32_t pages = rule->pages_to_return(*l);
      l->free_pages -= pages;
      l->ring_pages -= pages;
    }
  }
  CHECK(d.free_pages - 1050 == Approx(2950 / 2.0).margin(15));
  CHECK(p.free_pages == 4000 - 250);
}

TEST_CASE("the limit is descriptors, working set and slack", "[CT-42]") {
  PageReturnParams params;
  params.limit = LimitRule::absolute;
  params.slack = 0.5;
  CHECK(PageReturn(params).limit(levels()) == 512 + 1500);
  PoolLevels unknown = levels();
  unknown.known = false;
  CHECK(PageReturn(params).limit(unknown) == 0);
  params.limit = LimitRule::none;
  CHECK(PageReturn(params).limit(levels()) == 0);
}
