// Overload detectors and the four situations.
#include <catch2/catch.hpp>

#include "models/control/overload.hpp"
#include "models/control/situation.hpp"

using namespace rxpool;

namespace {

QueueSample idle(int us) {
  QueueSample sample;
  sample.now = microseconds(us);
  sample.rx_size = 1024;
  return sample;
}

}  // namespace

TEST_CASE("a backlog of half the ring is an overload until it has been gone for a while", "[CT-20]") {
  OverloadDetector detector({});
  QueueSample sample = idle(100);
  sample.rx_backlog = 511;
  detector.observe(sample);
  CHECK(!detector.rx());
  sample.now = microseconds(200);
  sample.rx_backlog = 512;
  detector.observe(sample);
  CHECK(detector.rx());
  sample.rx_backlog = 0;
  sample.now = microseconds(1199);
  detector.observe(sample);
  CHECK(detector.rx());
  sample.now = microseconds(1200);
  detector.observe(sample);
  CHECK(!detector.rx());
}

TEST_CASE("full polls count only in a row", "[CT-21]") {
  OverloadDetector detector({});
  QueueSample sample = idle(0);
  for (int i = 0; i < 10; ++i) {
    sample.now += microseconds(100);
    sample.polls += 3;
    sample.full_polls += i % 4 == 3 ? 2 : 3;
    detector.observe(sample);
    CHECK(!detector.rx());
  }
  for (int i = 0; i < 5; ++i) {
    sample.now += microseconds(100);
    sample.polls += 3;
    sample.full_polls += 3;
    detector.observe(sample);
  }
  CHECK(detector.rx());
}

TEST_CASE("drops are a sign when they are asked for, and only new ones", "[CT-22]") {
  OverloadParams params;
  OverloadDetector without(params);
  params.drops = true;
  OverloadDetector with(params);
  QueueSample sample = idle(100);
  sample.hw_drops = 1000;  // from before
  without.observe(sample);
  with.observe(sample);
  CHECK(!with.rx());
  sample.now = microseconds(200);
  sample.hw_drops = 1001;
  without.observe(sample);
  with.observe(sample);
  CHECK(!without.rx());
  CHECK(with.rx());
}

TEST_CASE("an egress ring raises TX_OVERLOAD when it is known and full, or when a program asks", "[CT-23]") {
  OverloadDetector detector({});
  QueueSample sample = idle(100);
  sample.tx_fill = 1000;  // of a ring nobody knows
  detector.observe(sample);
  CHECK(!detector.tx());
  sample.tx_size = 1024;
  detector.observe(sample);
  CHECK(detector.tx());
  OverloadDetector asked({});
  sample.tx_fill = 0;
  sample.tx_backoff = true;
  asked.observe(sample);
  CHECK(asked.tx());
}

namespace {

Time spent(const SituationObserver& observer, Situation situation) {
  return observer.spent(situation);
}

SituationObserver watch(double (*held)(double ms), double (*free_pages)(double ms), bool overload, int end_ms) {
  SituationObserver observer({});
  for (int us = 0; us < end_ms * 1000; us += 100) {
    const double ms = us * 1e-3;
    observer.observe({microseconds(us), held(ms), free_pages(ms), 5000, overload});
  }
  return observer;
}

double plenty(double) {
  return 500000;
}

}  // namespace

TEST_CASE("the four situations are told apart", "[CT-50]") {
  const SituationObserver burst =
      watch([](double ms) { return ms > 200 && ms < 300 ? 5000.0 : 500.0; }, plenty, false, 800);
  CHECK(static_cast<double>(spent(burst, Situation::good_queue).ps) == Approx(100e9).epsilon(0.002));
  CHECK(spent(burst, Situation::bad_queue).ps == 0);
  CHECK(burst.situation() == Situation::normal);

  const SituationObserver limited = watch([](double ms) { return ms > 200 ? 20000.0 : 500.0; }, plenty, false, 1000);
  CHECK(limited.situation() == Situation::bad_queue);
  CHECK(spent(limited, Situation::run_to_oom).ps == 0);

  const SituationObserver dry =
      watch([](double ms) { return ms > 200 ? 500 + 400 * (ms - 200) : 500.0; },
            [](double ms) { return ms > 200 ? 500000 - 400 * (ms - 200) : 500000.0; }, false, 1000);
  CHECK(dry.situation() == Situation::run_to_oom);

  const SituationObserver slow = watch([](double) { return 10.0; }, plenty, true, 500);
  CHECK(slow.situation() == Situation::rx_slow);
}
