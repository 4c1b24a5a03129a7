// The breaker's states, one sample every 100 us.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "models/control/breaker.hpp"

using namespace rxpool;

namespace {

class Rig {
 public:
  explicit Rig(BreakerParams params) : breaker(params) {
    sample.free_pages = 500000;
    sample.low = 5000;
    sample.high = 7000;
    sample.zone_pages = 520000;
    sample.ring = 1024;
  }
  void until_ms(double end, const std::function<void(BreakerSample&, double ms)>& set) {
    for (; static_cast<double>(sample.now.ps) * 1e-9 < end; sample.now += microseconds(100)) {
      set(sample, static_cast<double>(sample.now.ps) * 1e-9);
      breaker.observe(sample);
    }
  }
  void hold(double end, double held) {
    until_ms(end, [&](BreakerSample& s, double) { s.held = held; });
  }
  static double ms(Time t) { return static_cast<double>(t.ps) * 1e-9; }

  CircuitBreaker breaker;
  BreakerSample sample;
};

BreakerParams pages(double n) {
  BreakerParams params;
  params.threshold = BreakerThreshold::pages;
  params.pages = n;
  return params;
}

}  // namespace

TEST_CASE("it trips one hold time after the threshold and not before", "[CT-30][CT-31]") {
  Rig rig(pages(10000));
  rig.hold(50, 9999);
  rig.hold(249.9, 10000);
  CHECK(rig.breaker.state() == BreakerState::holding);
  rig.hold(251, 10000);
  CHECK(rig.breaker.state() == BreakerState::open);
  CHECK(Rig::ms(rig.breaker.stats().first_trip) == Approx(250).margin(0.11));
  CHECK(rig.breaker.stats().early_trips == 0);
}

TEST_CASE("a burst shorter than the hold never trips it", "[CT-31]") {
  Rig rig(pages(10000));
  for (int burst = 0; burst < 5; ++burst) {
    rig.hold(burst * 200 + 190, 50000);
    rig.hold(burst * 200 + 200, 100);
  }
  CHECK(rig.breaker.stats().trips == 0);
  CHECK(rig.breaker.state() == BreakerState::closed);
}

TEST_CASE("the hold ends when free pages reach the low watermark within the reaction time", "[CT-33]") {
  // Free pages fall by 1000 a millisecond from 100 ms on: at 495 - 20 ms of it the reaction time is all that is left.
  BreakerParams params = pages(10000);
  params.hold = seconds(10);
  params.reaction = milliseconds(20);
  Rig rig(params);
  rig.hold(100, 100);
  rig.until_ms(700, [](BreakerSample& s, double ms) {
    s.held = 20000;
    s.free_pages = 500000 - 1000 * (ms - 100);
  });
  CHECK(rig.breaker.stats().trips == 1);
  CHECK(rig.breaker.stats().early_trips == 1);
  CHECK(Rig::ms(rig.breaker.stats().first_trip) == Approx(575).margin(0.5));
}

TEST_CASE("the forecast comes before the hold time, whatever that is", "[CT-33]") {
  // The same fall, and a hold that ends 200 ms after the threshold: memory lasts for 100 of them, so the forecast trips
  // it; where memory lasts for 400, the hold does.
  for (const double lasts_ms : {100.0, 400.0}) {
    Rig rig(pages(10000));
    rig.hold(100, 100);
    rig.until_ms(100 + std::min(lasts_ms, 250.0), [&](BreakerSample& s, double ms) {
      s.held = 20000;
      s.free_pages = 5000 + 495000 * (1 - (ms - 100) / lasts_ms);
    });
    const bool forecast = lasts_ms < 200;
    CHECK(rig.breaker.stats().trips == 1);
    CHECK(rig.breaker.stats().early_trips == (forecast ? 1 : 0));
    CHECK(Rig::ms(rig.breaker.stats().first_trip) == Approx(forecast ? 195 : 300).margin(1));
  }
}

TEST_CASE("a queue far below its share trips when its own growth is about to take the last pages", "[CT-30][CT-33]") {
  // 16,000 pages are free of 520,000: the share is out of reach.
  BreakerParams params;
  params.threshold = BreakerThreshold::share_or_oom;
  params.share = 0.2;
  Rig rig(params);
  rig.until_ms(52, [](BreakerSample& s, double ms) {
    s.held = 200 * ms;
    s.free_pages = 16000 - 200 * ms;
  });
  CHECK(rig.breaker.stats().early_trips == 1);
  CHECK(rig.breaker.stats().hard == 0);
  CHECK(Rig::ms(rig.breaker.stats().first_trip) == Approx(50).margin(1));

  // As fast a burst with room for 200 ms and more is none of its business.
  Rig roomy(params);
  roomy.until_ms(50, [](BreakerSample& s, double ms) {
    s.held = 200 * ms;
    s.free_pages = 60000 - 200 * ms;
  });
  CHECK(roomy.breaker.state() == BreakerState::closed);
}

TEST_CASE("the hard level looks one step ahead: a look may come after the last page", "[CT-34]") {
  // 400 pages a look, and 362 between the low and the min watermark of a small host.
  Rig rig(pages(1e9));
  rig.sample.low = 1810;
  rig.sample.free_pages = 16000;
  double least = 16000;
  rig.until_ms(10, [&](BreakerSample& s, double) {
    if (rig.breaker.state() == BreakerState::closed) s.free_pages -= 400;
    least = std::min(least, s.free_pages);
  });
  CHECK(rig.breaker.stats().hard == 1);
  CHECK(least >= 1810);
}

TEST_CASE("memory that others take does not trip a queue under its threshold", "[CT-33]") {
  Rig rig(pages(10000));
  rig.until_ms(590, [](BreakerSample& s, double ms) {
    s.held = 9000;
    s.free_pages = 500000 - 800 * ms;
  });
  CHECK(rig.breaker.stats().trips == 0);
}

TEST_CASE("at the low watermark it is hard at once, until kswapd reached the high one", "[CT-34]") {
  Rig rig(pages(10000));
  rig.hold(10, 100);
  rig.until_ms(20, [](BreakerSample& s, double) { s.free_pages = 5000; });
  CHECK(rig.breaker.state() == BreakerState::hard);
  rig.until_ms(30, [](BreakerSample& s, double) { s.free_pages = 7000; });
  CHECK(rig.breaker.state() == BreakerState::hard);
  rig.until_ms(31, [](BreakerSample& s, double) { s.free_pages = 7001; });
  CHECK(rig.breaker.state() == BreakerState::open);
}

TEST_CASE("it closes through a probe, under half the threshold", "[CT-35]") {
  Rig rig(pages(10000));
  rig.hold(201, 20000);
  REQUIRE(rig.breaker.state() == BreakerState::open);
  rig.hold(600, 5000);  // not below close_share
  CHECK(rig.breaker.state() == BreakerState::open);
  rig.hold(601, 4999);
  CHECK(rig.breaker.state() == BreakerState::half_open);
  rig.hold(801, 4999);
  CHECK(rig.breaker.state() == BreakerState::closed);
  CHECK(Rig::ms(rig.breaker.stats().first_close) == Approx(800).margin(0.2));
}

TEST_CASE("a failed probe opens it again for twice as long", "[CT-35]") {
  Rig rig(pages(10000));
  rig.hold(201, 20000);
  rig.hold(401, 100);
  REQUIRE(rig.breaker.state() == BreakerState::half_open);
  rig.hold(411, 20000);
  CHECK(rig.breaker.state() == BreakerState::open);
  CHECK(rig.breaker.stats().failed_probes == 1);
  CHECK(rig.breaker.stats().trips == 1);
  rig.hold(790, 100);
  CHECK(rig.breaker.state() == BreakerState::open);
  rig.hold(802, 100);
  CHECK(rig.breaker.state() == BreakerState::half_open);
}

TEST_CASE("thresholds follow the working set, the zone and the forecast", "[CT-30]") {
  BreakerParams params;
  params.threshold = BreakerThreshold::working_set;
  params.factor = 3;
  Rig relative(params);
  relative.sample.working_set = 2000;
  relative.hold(1, 100);
  CHECK(relative.breaker.limit() == 6000);
  relative.sample.working_set = 0;  // unknown: the ring stands in
  relative.hold(2, 100);
  CHECK(relative.breaker.limit() == 3072);

  params.threshold = BreakerThreshold::zone_share;
  params.share = 0.25;
  Rig share(params);
  share.hold(1, 100);
  CHECK(share.breaker.limit() == 130000);

  // 1000 pages/ms of its own growth against 495000 of room: dry in 0.495 s, within the second of the horizon.
  params.threshold = BreakerThreshold::time_to_oom;
  Rig forecast(params);
  forecast.until_ms(100, [](BreakerSample& s, double ms) { s.held = 1000 * ms; });
  CHECK(forecast.breaker.state() == BreakerState::holding);
  Rig slow(params);
  slow.until_ms(100, [](BreakerSample& s, double ms) { s.held = 100 * ms; });
  CHECK(slow.breaker.state() == BreakerState::closed);
}

TEST_CASE("parameters that defeat the purpose are warned about with the reason", "[CT-38]") {
  const BreakerScale scale{.ring = 1024, .zone_pages = 500'000};
  CHECK(breaker_warnings(pages(10000), scale, "b").empty());
  BreakerParams params = pages(1000);
  params.hold = milliseconds(50);
  const auto warnings = breaker_warnings(params, scale, "b");
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0] ==
        "b.hold_ms: 50 ms is below one reference round trip, 200 ms: the breaker trips before "
        "congestion-controlled senders could react");
  CHECK(warnings[1].find("b.pages: 1000 is below the pages of one ring, 1024") == 0);
  for (const auto threshold : {BreakerThreshold::zone_share, BreakerThreshold::share_or_oom}) {
    params = {.threshold = threshold, .share = 0.01};
    CHECK(breaker_warnings(params, scale, "b").empty());
    params.share = 0.001;
    const auto small = breaker_warnings(params, scale, "b");
    REQUIRE(small.size() == 1);
    CHECK(small[0].find("b.share: of the zone, 500 is below the pages of one ring, 1024") == 0);
  }
}
