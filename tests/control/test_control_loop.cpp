// The control loop inside a host: what the breaker refuses, what the ledgers say, what pool limit and returned pages
// do, and that the host and the reference engine agree about all of it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "sim/error.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"
#include "tests/host/same_as_reference.hpp"

using namespace rxpool;

namespace {

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string rx1 = "nics.nic0.rx_queues.rx1";

/// A paused reader with a large buffer on one queue, a reader that keeps up on the other.
std::string two_queues(const std::string& control, const std::string& more = "", const std::string& memory = "4096") {
  return R"({"duration_ms": 12, "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}, "cpu3": {}},
    "kernel": {"rmem_max": 1073741823, "udp_mem_pages": 1073741823, "min_free_kbytes": 4096}, "memory": {"total_mib": )" +
         memory + R"(},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"}},
      "ntuple": {"bad": {"protocol": "udp", "dst_port": 4000, "queue": "rx0"},
                 "good": {"protocol": "udp", "dst_port": 5000, "queue": "rx1"}}}},
    "sockets": {"bad": {"port": 4000, "cpu": "cpu2", "rcvbuf": 536870911, "reader": {"paused": true}},
                "good": {"port": 5000, "cpu": "cpu3", "rcvbuf": 67108864}},
    "traffic": {
      "bad": {"nic": "nic0", "kind": "poisson", "rate_pps": 1000000, "sizes": 128, "flows": {"count": 20, "destination_ports": "4000"}},
      "good": {"nic": "nic0", "kind": "poisson", "rate_pps": 200000, "sizes": 128, "flows": {"count": 20, "destination_ports": "5000"}}},
    )" + more +
         R"("control": )" + control + "}";
}

const std::string breaker =
    R"({"breaker": {"threshold": "pages", "pages": 2000, "reference_rtt_ms": 2, "probe_one_in": 5}})";

}  // namespace

TEST_CASE("an open breaker stops its queue's pages and leaves the other queue alone", "[CT-36]") {
  const Scenario with = load_random(two_queues(breaker));
  const ReplicationResult result = run_replication(with, {});
  const ReplicationResult twin = run_replication(load_random(two_queues("{}")), {});
  CHECK(metric(result, rx0, "breaker_trips") == 1);
  CHECK(metric(result, rx0, "breaker_time_to_trip") == Approx(2));
  CHECK(metric(result, rx0, "breaker_first_over") > 0);
  CHECK(metric(result, rx0, "breaker_first_trip") == Approx(metric(result, rx0, "breaker_first_over") + 2));
  CHECK(std::isnan(metric(result, rx1, "breaker_first_over")));
  CHECK(metric(result, rx1, "breaker_trips") == 0);
  CHECK(static_cast<double>(place(result.packets, "dropped.circuit_breaker")) ==
        metric(result, rx0, "breaker_refused"));
  CHECK(place(result.packets, "dropped.circuit_breaker") > 1000);
  CHECK(metric(result, rx0, "held_max") < metric(twin, rx0, "held_max") - 1000);
  CHECK(metric(result, "sockets.good", "UdpInDatagrams") == metric(twin, "sockets.good", "UdpInDatagrams"));
  same_as_reference(with);
  CHECK(independent_of_window(with));
}

TEST_CASE("half open, one packet of so many passes without approval", "[CT-35]") {
  // The reader comes back while it is open; what it read makes room, and the probe begins.
  const Scenario scenario = load_random(
      two_queues(R"({"breaker": {"threshold": "pages", "pages": 1000, "reference_rtt_ms": 2, "probe_one_in": 5}})",
                 R"("events": {"back": {"at_ms": 4.5, "set": {"sockets.bad.reader.paused": false}}}, )"));
  const ReplicationResult result = run_replication(scenario, {});
  const double probed = metric(result, rx0, "breaker_probed");
  CHECK(probed > 20);
  CHECK(metric(result, rx0, "breaker_half_open_time") > 0);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("at the low watermark nothing passes, on any queue", "[CT-37]") {
  std::string text =
      two_queues(R"({"breaker": {"threshold": "pages", "pages": 1000000}})", R"("record": {"every_us": 100}, )", "28");
  const Scenario scenario = load_random(text);
  const ReplicationResult result = run_replication(scenario, {});
  const ReplicationResult twin = run_replication(load_random(two_queues("{}", "", "28")), {});
  CHECK(metric(result, rx0, "breaker_hard") >= 1);
  CHECK(place(result.packets, "dropped.circuit_breaker_hard") > 100);
  CHECK(metric(result, rx1, "breaker_refused_hard") > 0);
  CHECK(metric(result, "memory", "alloc_fail") == 0);
  CHECK(metric(result, "control", "nr_free_pages_min") > metric(result, "control", "watermark_min"));
  CHECK(metric(twin, "memory", "alloc_fail") > 0);
}

TEST_CASE("an absolute limit runs the ring dry, a soft one asks page by page", "[PP-60][CT-42]") {
  const auto limited = [](const std::string& rule) {
    return load_random(
        two_queues(R"({"detectors": {"main": {"kind": "ewma", "time_constant_ms": 0.5}},
      "pool": {"limit": ")" +
                       rule + R"(", "slack": 0.1}})",
                   R"("events": {"stop": {"at_ms": 6, "set": {"sockets.good.reader.paused": true}}}, )"));
  };
  const ReplicationResult none = run_replication(limited("none"), {});
  const ReplicationResult soft = run_replication(limited("soft"), {});
  const ReplicationResult absolute = run_replication(limited("absolute"), {});
  const std::string pool = rx1 + ".page_pool";
  CHECK(metric(none, pool, "limit_refused") == 0);
  CHECK(metric(soft, pool, "limit_refused") == 0);
  CHECK(metric(soft, pool, "alloc_slow") > 4 * metric(none, pool, "alloc_slow"));
  CHECK(metric(absolute, pool, "limit_refused") > 10);
  CHECK(metric(absolute, rx1, "held_max") < metric(none, rx1, "held_max") / 2);
  CHECK(metric(absolute, rx1, "rx_out_of_buffer") > 20);
  CHECK(metric(none, rx1, "rx_out_of_buffer") == 0);
  same_as_reference(limited("soft"));
  same_as_reference(limited("absolute"));
}

TEST_CASE("returned pages come from the ring and are asked for again", "[PP-61][CT-40]") {
  const auto returning = [](const std::string& rule) {
    return load_random(two_queues(
        R"({"detectors": {"main": {"kind": "ewma", "time_constant_ms": 0.5}}, "pool": {"returns": ")" + rule + R"("}})",
        R"("events": {"stop": {"at_ms": 3, "set": {"sockets.good.reader.paused": true}},
                      "go": {"at_ms": 6, "set": {"sockets.good.reader.paused": false}}}, )"));
  };
  const ReplicationResult never = run_replication(returning("never"), {});
  const ReplicationResult immediate = run_replication(returning("immediate"), {});
  const std::string pool = rx1 + ".page_pool";
  CHECK(metric(never, pool, "pages_returned") == 0);
  CHECK(metric(immediate, pool, "pages_returned") > 100);
  CHECK(metric(immediate, pool, "pool_page_seconds") < metric(never, pool, "pool_page_seconds"));
  CHECK(metric(immediate, pool, "alloc_slow") >= metric(never, pool, "alloc_slow"));
  same_as_reference(returning("immediate"));
  CHECK(independent_of_window(returning("immediate")));
}

TEST_CASE("a detector that reads a page_pool is refused where there is none", "[CT-1]") {
  const Scenario scenario = load_random(R"({"duration_ms": 1, "cpus": {"cpu0": {}},
    "nics": {"nic0": {"driver": "ixgbe", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "control": {"detectors": {"main": {"kind": "jiffies_counter"}}}})");
  CHECK_THROWS_WITH(run_replication(scenario, {}),
                    Catch::Contains("control.detectors.main: jiffies_counter reads the counters of a page_pool"));
}

TEST_CASE("a run says of a bad parameter what is wrong with it and why, or refuses it", "[CT-38]") {
  const auto warning = [](const std::string& control, const std::string& about) {
    for (const std::string& said : run_replication(load_random(two_queues(control)), {}).warnings) {
      if (said.find(about) == 0) return said;
    }
    return std::string("no warning");
  };
  CHECK(warning(R"({"breaker": {"threshold": "pages", "pages": 9000, "hold_ms": 50}})", "control.breaker.hold_ms") ==
        "control.breaker.hold_ms: 50 ms is below one reference round trip, 200 ms: the breaker trips before "
        "congestion-controlled senders could react");
  CHECK(warning(R"({"breaker": {"threshold": "pages", "pages": 100}})", "control.breaker.pages")
            .find(": one ring handed to the stack at once is over it") != std::string::npos);
  CHECK(warning(R"({"breaker": {"threshold": "zone_share", "share": 0.0001}})", "control.breaker.share")
            .find(": of the zone, 104 is below the pages of one ring, ") != std::string::npos);
  CHECK_THROWS_WITH(load_random(two_queues(R"({"pool": {"slack": -0.1}})")),
                    Catch::Contains("control.pool.slack: -0.1 is out of range; use 0"));
}

namespace {

/// Two queues of a driver without moderation: rx0 is flooded beyond its CPU from 1.03 ms on, rx1 is idle.
std::string lossy(const std::string& driver, const std::string& nic, double start_ms = 1.03) {
  return R"({"duration_ms": 4, "cpus": {"cpu0": {}, "cpu1": {}}, "memory": {"total_mib": 2048},
    "nics": {"nic0": {"driver": ")" +
         driver + R"(", )" + nic + R"("rx_ring": 256, "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"}},
      "ntuple": {"all": {"protocol": "udp", "queue": "rx0"}}}},
    "policies": {"nic0": "rx_overload_shed"},
    "traffic": {"flood": {"nic": "nic0", "kind": "constant", "rate_pps": 8000000, "sizes": 64, "start_ms": )" +
         std::to_string(start_ms) + R"(, "flows": {"count": 4000, "destination_ports": "4000"}}},
    "control": {"period_us": 50, "signal": {"period_us": 50, "latency_us": 0},
      "detectors": {"main": {"kind": "ewma"}},
      "overload": {"backlog_share": 2, "full_polls": 0, "drops": true, "clear_ms": 100}}})";
}

double overload_ms(const ReplicationResult& result, const std::string& queue) {
  return 1e-9 * metric(result, queue, "rx_overload_time");
}

}  // namespace

TEST_CASE("a driver's counter of lost frames has the scope of its port, or of its queue", "[CT-22][DR-51]") {
  for (const std::string driver : {"mlx5", "ice", "ixgbe", "i40e", "mlx4"}) {
    INFO(driver);
    const ReplicationResult result = run_replication(load_random(lossy(driver, R"("stats_block_usecs": 0, )")), {});
    CHECK(overload_ms(result, rx0) > 1);
    CHECK(overload_ms(result, rx1) == overload_ms(result, rx0));
  }
  for (const std::string driver : {"virtio_net", "vmxnet3"}) {
    INFO(driver);
    const ReplicationResult result = run_replication(load_random(lossy(driver, "")), {});
    CHECK(overload_ms(result, rx0) > 1);
    CHECK(overload_ms(result, rx1) == 0);
  }
}

TEST_CASE("a look between two renewals meets the driver's last value", "[CT-26][DR-50]") {
  const auto noticed = [](const std::string& nic, double start_ms) {
    const ReplicationResult result = run_replication(load_random(lossy("mlx5", nic, start_ms)), {});
    return 4 - overload_ms(result, rx0);  // clear_ms is longer than the run: on from then to the end
  };
  const double now = noticed("", 1.03);
  CHECK(now < 1.35);
  // Renewed at multiples of 0.7 ms, 1.3 ms and 2.6 ms; a look at the same instant comes after the renewal.
  CHECK(noticed(R"("stats_block_usecs": 700, )", 1.03) == Approx(now < 1.4 ? 1.4 : 2.1));
  CHECK(noticed(R"("stats_block_usecs": 2600, )", 1.03) == Approx(2.6));
  CHECK(noticed(R"("stats_block_usecs": 2620, )", 1.03) == Approx(2.65));
  // mlx4 renews its own every 250 ms: longer than the run.
  const ReplicationResult mlx4 = run_replication(load_random(lossy("mlx4", "")), {});
  CHECK(overload_ms(mlx4, rx0) == 0);
  CHECK(metric(mlx4, rx0, "rx_dropped") > 1000);
  const auto said = [&](const std::string& part) {
    return std::any_of(mlx4.warnings.begin(), mlx4.warnings.end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
  };
  CHECK(said("control.overload.drops: rx_dropped: the driver renews it every 250 ms"));
}

TEST_CASE("a counter that is renewed now and then is the same in both engines", "[CT-26]") {
  const Scenario scenario = load_random(two_queues(
      R"({"period_us": 50, "signal": {"period_us": 50}, "overload": {"drops": true},
          "breaker": {"threshold": "pages", "pages": 2000, "reference_rtt_ms": 2}})"));
  Scenario late = scenario;
  late.nics.at("nic0").stats_block_usecs = 730;
  same_as_reference(late);
  CHECK(independent_of_window(late));
}

TEST_CASE("a queue that a poll-mode driver has is not looked at, which is said", "[CT-1][PM-1]") {
  const std::string pmd = R"("pmds": {"user": {"nic": "nic0", "queue": "rx1"}}, )";
  const Scenario scenario = load_random(two_queues(breaker, pmd));
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, rx0, "breaker_trips") == 1);
  const auto watched = [&](const std::string& queue) {
    return std::any_of(result.metrics.begin(), result.metrics.end(),
                       [&](const auto& one) { return one.component == queue && one.metric == "breaker_trips"; });
  };
  CHECK(watched(rx0));
  CHECK(!watched(rx1));
  CHECK(std::count(result.warnings.begin(), result.warnings.end(),
                   "control: pmds.user polls nics.nic0.rx_queues.rx1, and the kernel sees nothing of it: that queue is "
                   "not looked at") == 1);
  same_as_reference(scenario);
  CHECK_THROWS_WITH(load_random(two_queues(breaker, R"("pmds": {"user": {"nic": "nic0", "queue": "rx1"},
                                                                "other": {"nic": "nic0", "queue": "rx0"}}, )")),
                    Catch::Contains("control: every RX queue has a poll-mode driver"));
}

TEST_CASE("without anything to control no loop runs", "[CT-1]") {
  const Scenario scenario = load_random(two_queues("{}"));
  Host host(scenario, 0);
  CHECK(host.control() == nullptr);
}
