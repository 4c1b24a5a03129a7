// A level in time: its mean is weighted by how long it stood, and a cut forgets the past but not the level.
#include <catch2/catch.hpp>

#include "sim/gauge.hpp"

using namespace rxpool;

TEST_CASE("the mean is weighted by time, extremes are those of the levels") {
  Gauge gauge;
  gauge.set(nanoseconds(10), 4);  // 0 for 10 ns
  gauge.set(nanoseconds(40), 1);  // 4 for 30 ns
  gauge.add(nanoseconds(40), 7);  // 1 for no time
  CHECK(gauge.level() == 8);
  CHECK(gauge.mean(nanoseconds(60)) == Approx((30 * 4 + 20 * 8) / 60.0));
  CHECK(gauge.level_seconds(nanoseconds(60)) == Approx((30 * 4 + 20 * 8) * 1e-9));
  CHECK(gauge.max() == 8);
  CHECK(gauge.min() == 0);
}

TEST_CASE("a cut keeps the level and forgets what was before") {
  Gauge gauge;
  gauge.set(nanoseconds(0), 100);
  gauge.set(nanoseconds(50), 7);
  gauge.cut(nanoseconds(50));
  CHECK(gauge.level() == 7);
  CHECK(gauge.max() == 7);
  CHECK(gauge.min() == 7);
  CHECK(gauge.mean(nanoseconds(50)) == 7);  // no time has passed: the level itself
  gauge.set(nanoseconds(60), 3);
  CHECK(gauge.mean(nanoseconds(70)) == Approx(5));
}

TEST_CASE("a level that was reported late counts from its own instant") {
  // A component that ran ahead reports in its own order; an instant before the last one moves no time back.
  Gauge gauge;
  gauge.set(nanoseconds(30), 5);
  gauge.set(nanoseconds(20), 9);
  CHECK(gauge.level() == 9);
  CHECK(gauge.mean(nanoseconds(40)) == Approx(10 * 9 / 40.0));
}

TEST_CASE("the integral of a large level over a long time is exact") {
  Gauge gauge;
  const std::int64_t pages = std::int64_t{1} << 40;
  gauge.set(Time{0}, pages);
  CHECK(gauge.mean(seconds(4'000'000)) == static_cast<double>(pages));
}
