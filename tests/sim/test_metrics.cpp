// The registry: what each kind of metric reports over the time after the warm-up, and at samples.
#include <catch2/catch.hpp>

#include <array>
#include <map>
#include <string>

#include "sim/error.hpp"
#include "sim/metrics.hpp"

using namespace rxpool;

namespace {

constexpr std::array<MetricDefinition, 6> table{{
    {"rx_packets", "packets", MetricKind::counter, "packets", "test"},
    {"rx_pps", "packets/s", MetricKind::derived, "their rate", "test"},
    {"busy", "%", MetricKind::derived, "time spent", "test"},
    {"held", "pages", MetricKind::level, "pages", "test"},
    {"latency", "ns", MetricKind::level, "latency", "test"},
    {"free", "pages", MetricKind::level, "read when asked", "test"},
}};

/// One of each kind, of a component "q".
struct Registered {
  MetricRegistry registry{table};
  std::uint64_t packets = 0;
  std::array<std::uint64_t, 2> spent_ps{};
  Gauge held;
  Histogram latency;
  double free = 0;

  Registered() {
    registry.counter("q", "rx_packets", &packets);
    registry.rate("q", "rx_pps", &packets);
    registry.share("q", "busy", spent_ps);
    registry.gauge("q", "held", &held);
    registry.latency("q", "latency", &latency);
    registry.level("q", "free", [this] { return free; });
  }

  std::map<std::string, double> values(Time now) const {
    std::map<std::string, double> found;
    for (const MetricRegistry::Value& value : registry.values(now)) {
      CHECK(*value.component == "q");
      CHECK(found.emplace(value.metric, value.value).second);
    }
    return found;
  }
};

}  // namespace

TEST_CASE("counters, rates and shares are of the time after the cut, gauges keep their level") {
  Registered r;
  r.packets = 1000;
  r.spent_ps = {nanoseconds(50).ps, 0};
  r.held.set(nanoseconds(20), 8);
  r.latency.record(nanoseconds(900).ps);
  r.registry.cut(nanoseconds(100));
  r.packets += 30;
  r.spent_ps[0] += nanoseconds(40).ps;
  r.spent_ps[1] += nanoseconds(60).ps;
  r.held.set(nanoseconds(200), 2);
  r.latency.record(nanoseconds(100).ps);
  r.free = 17;
  auto found = r.values(nanoseconds(300));
  CHECK(found["rx_packets"] == 30);
  CHECK(found["rx_pps"] == Approx(30 / 200e-9));
  CHECK(found["busy"] == Approx(50));
  CHECK(found["held_mean"] == Approx(5));
  CHECK(found["held_max"] == 8);
  CHECK(found["latency_max"] == Approx(100).epsilon(0.01));
  CHECK(found["latency_p50"] == Approx(100).epsilon(0.01));
  CHECK(found["free"] == 17);
}

TEST_CASE("a latency that nothing had is not reported, and a rate over no time is zero") {
  Registered r;
  r.packets = 5;
  auto found = r.values(Time{0});
  CHECK(found.count("latency_p50") == 0);
  CHECK(found["rx_pps"] == 0);
  CHECK(found["busy"] == 0);
}

TEST_CASE("samples hold what came since the last one, and levels as they are") {
  Registered r;
  r.registry.reserve_samples(2);
  r.packets = 10;
  r.held.set(Time{0}, 3);
  r.registry.sample(nanoseconds(100));
  r.packets = 14;
  r.spent_ps[1] = nanoseconds(25).ps;
  r.held.set(nanoseconds(150), 9);
  r.free = 2;
  r.registry.sample(nanoseconds(200));
  CHECK(r.registry.sample_times() == std::vector<Time>{nanoseconds(100), nanoseconds(200)});
  std::map<std::string, std::vector<double>> series;
  for (const MetricRegistry::Series& one : r.registry.series()) series[std::string(one.metric)] = one.value;
  CHECK(series["rx_packets"] == std::vector<double>{10, 4});
  CHECK(series["rx_pps"][1] == Approx(4 / 100e-9));
  CHECK(series["busy"][1] == Approx(25));
  CHECK(series["held"] == std::vector<double>{3, 9});
  CHECK(series["free"] == std::vector<double>{0, 2});
  CHECK(series.count("latency") == 0);
}

TEST_CASE("a counter whose place changes is reported as any other") {
  MetricRegistry registry(table);
  std::uint64_t first = 10;
  std::uint64_t second = 0;
  const std::uint64_t* at = &first;
  registry.counter("q", "rx_packets", [&] { return *at; });
  registry.reserve_samples(2);
  registry.cut(nanoseconds(100));
  first = 17;
  registry.sample(nanoseconds(200));
  second = first;
  at = &second;
  second = 19;
  registry.sample(nanoseconds(300));
  CHECK(registry.values(nanoseconds(300)).at(0).value == 9);
  CHECK(registry.series().at(0).value == std::vector<double>{7, 2});
}

TEST_CASE("a metric that the table does not declare, or of another kind, is our mistake") {
  MetricRegistry registry{table};
  std::uint64_t count = 0;
  CHECK_THROWS_AS(registry.counter("q", "rx_bytes", &count), BugError);
  CHECK_THROWS_AS(registry.counter("q", "held", &count), BugError);
}
