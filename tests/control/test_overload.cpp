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

TEST_CASE("a detector declares the inputs that it uses", "[CT-26]") {
  OverloadParams params;
  params.backlog_share = 2;
  params.full_polls = 0;
  params.tx_share = 2;
  const OverloadDetector none(params);
  for (std::size_t i = 0; i < overload_inputs; ++i) {
    const auto input = static_cast<OverloadInput>(i);
    CHECK(none.uses(input) == (input == OverloadInput::tx_backoff));
  }
  params.drops = true;
  CHECK(OverloadDetector(params).uses(OverloadInput::hw_drops));
  CHECK(OverloadDetector({}).uses(OverloadInput::rx_backlog));
}

TEST_CASE("what an input cannot tell is said only of inputs that are used", "[CT-22][CT-26]") {
  const InputSource port{"rx_dropped", InputSource::Scope::port, milliseconds(250), false};
  OverloadParams params;
  const auto said = [&](bool transmits, Time look) {
    return overload_warnings(OverloadDetector(params), input_sources(port, transmits), look, "overload");
  };
  CHECK(said(false, milliseconds(1)) ==
        std::vector<std::string>{
            "overload.backlog_share: completed descriptors: exported by no driver or kernel: sim-only"});
  CHECK(said(true, milliseconds(1)).size() == 2);
  params.backlog_share = 2;
  params.drops = true;
  CHECK(said(false, milliseconds(1)) ==
        std::vector<std::string>{
            "overload.drops: rx_dropped: the driver counts per port, so every queue of the port is overloaded",
            "overload.drops: rx_dropped: the driver renews it every 250 ms, so that an overload is noticed up to so "
            "late"});
  CHECK(said(false, milliseconds(250)).size() == 1);
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
