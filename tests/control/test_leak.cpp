// Scores of a leak against made courses of held, one reading a millisecond.
#include <catch2/catch.hpp>
#include <cmath>

#include "models/control/leak.hpp"

using namespace rxpool;

namespace {

template <typename Held>
LeakScores scores_of(Held&& held) {
  LeakObserver observer(milliseconds(20));
  for (int ms = 0; ms < 400; ++ms) observer.observe(milliseconds(ms), held(ms));
  return observer.scores();
}

}  // namespace

TEST_CASE("a leak raises the floor of every window", "[CT-51]") {
  const LeakScores leak = scores_of([](int ms) { return 2.0 * ms + (ms % 7) * 10; });
  CHECK(leak.trend == 1);
  CHECK(leak.growth == Approx(2000).epsilon(0.02));
  CHECK(leak.floor == 728);  // of the window from 360 ms, at 364 ms
}

TEST_CASE("a consumer that pauses holds much and lets it all go", "[CT-51]") {
  const LeakScores pauses = scores_of([](int ms) { return ms % 50 < 15 ? 1000.0 * (ms % 50) : 0.0; });
  CHECK(pauses.floor == 0);
  CHECK(std::abs(pauses.trend) < 0.2);
}

TEST_CASE("a standing queue has a high floor and no trend", "[CT-51]") {
  const LeakScores standing = scores_of([](int ms) { return 5000.0 + (ms * 37 % 101); });
  CHECK(standing.floor >= 5000);
  CHECK(std::abs(standing.trend) < 0.5);
  CHECK(std::abs(standing.growth) < 100);
}

TEST_CASE("without a whole window there is no floor", "[CT-51]") {
  LeakObserver observer(milliseconds(20));
  for (int ms = 0; ms < 20; ++ms) observer.observe(milliseconds(ms), 100.0 * ms);
  CHECK(observer.scores().floor == 0);
  CHECK(observer.scores().trend == 0);
  CHECK(observer.scores().growth == Approx(100000));
}
