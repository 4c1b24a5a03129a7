// NET_RX on a CPU: what a pass takes, what ends it, who goes on; and NAPIs with a thread of their own.
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

/// Queues of one NIC on cpu0, which drops everything; a Poisson load over all of them.
ReplicationResult run(int queues, double rate_pps, const std::string& nic = "", const std::string& kernel = "",
                      const RunOptions& options = {}) {
  std::string rx_queues;
  for (int q = 0; q < queues; ++q) {
    rx_queues += (q == 0 ? "" : ", ") + std::string("\"rx") + std::to_string(q) + R"(": {"cpu": "cpu0"})";
  }
  const Scenario scenario = load_random(R"({"duration_ms": 20, "cpus": {"cpu0": {"idle_states": "c1"}},
    "kernel": {)" + kernel + R"(},
    "nics": {"nic0": {"driver": "mlx5", "adaptive_rx": false, "rx_usecs": 0, "rx_frames": 1, )" +
                                        nic + R"("rx_queues": {)" + rx_queues + R"(}}}, "policies": {"nic0": "drop"},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                                        std::to_string(rate_pps) + R"(, "flows": {"count": 10000}}}})");
  return run_replication(scenario, options);
}

double cpu0(const ReplicationResult& result, const std::string& name) {
  return metric(result, "cpus.cpu0", name);
}

/// Summed over the queues.
double of_queues(const ReplicationResult& result, const std::string& name, int queues) {
  double sum = 0;
  for (int q = 0; q < queues; ++q) sum += metric(result, "nics.nic0.rx_queues.rx" + std::to_string(q), name);
  return sum;
}

}  // namespace

TEST_CASE("a busy queue gets its weight once per pass, however large the budget", "[NA-10][NA-22]") {
  for (const int budget : {300, 3000}) {
    INFO("budget " << budget);
    const ReplicationResult one = run(1, 60e6, "", "\"netdev_budget\": " + std::to_string(budget));
    CHECK(of_queues(one, "polls", 1) == Approx(cpu0(one, "net_rx_action")).epsilon(0.01));
    CHECK(of_queues(one, "rx_packets", 1) / of_queues(one, "polls", 1) == Approx(64).epsilon(0.01));
    const ReplicationResult three = run(3, 60e6, "", "\"netdev_budget\": " + std::to_string(budget));
    CHECK(of_queues(three, "polls", 3) == Approx(3 * cpu0(three, "net_rx_action")).epsilon(0.02));
  }
}

TEST_CASE("a pass ends after the poll that reaches the budget, and counts that as time_squeeze", "[NA-11][NA-12]") {
  // Eight busy queues: 5 x 64 is the first sum over 300, 2 x 64 over 100.
  const ReplicationResult usual = run(8, 100e6);
  CHECK(of_queues(usual, "polls", 8) / cpu0(usual, "net_rx_action") == Approx(5).epsilon(0.03));
  CHECK(cpu0(usual, "time_squeeze") == Approx(cpu0(usual, "net_rx_action")).epsilon(0.03));
  const ReplicationResult small = run(8, 100e6, "", "\"netdev_budget\": 100");
  CHECK(of_queues(small, "polls", 8) / cpu0(small, "net_rx_action") == Approx(2).epsilon(0.03));
  // Three full polls are below the budget.
  CHECK(cpu0(run(3, 60e6), "time_squeeze") < 20);
}

TEST_CASE("a poll that finds less than its weight completes, and the next packet interrupts", "[NA-1][NA-21]") {
  const ReplicationResult idle = run(1, 1e5);
  CHECK(of_queues(idle, "interrupts", 1) > 1500);
  CHECK(cpu0(idle, "hard_interrupts") == of_queues(idle, "interrupts", 1));
  CHECK(of_queues(idle, "polls", 1) == Approx(of_queues(idle, "interrupts", 1)).epsilon(0.02));
  CHECK(cpu0(idle, "ksoftirqd_wakeups") == 0);
  // Polled without an end its vector stays masked.
  CHECK(of_queues(run(1, 60e6), "interrupts", 1) < 20);
}

TEST_CASE("what does not end within ten passes or 2 ms goes to ksoftirqd", "[NA-3][NA-30][NA-32]") {
  const ReplicationResult overload = run(1, 60e6);
  CHECK(cpu0(overload, "ksoftirqd_wakeups") > 0);
  CHECK(cpu0(overload, "busy_ksoftirqd") > 90);
  CHECK(cpu0(overload, "busy_ksoftirqd") + cpu0(overload, "busy_softirq") + cpu0(overload, "busy_hardirq") ==
        Approx(100).margin(1));
  const ReplicationResult light = run(1, 1e5);
  CHECK(cpu0(light, "busy_ksoftirqd") == 0);
  CHECK(cpu0(light, "busy_softirq") > 0);
  // An interrupt runs what it raised before it ends; one that falls into such a pass gives it more to do.
  const ReplicationResult seldom = run(1, 1e4);
  CHECK(cpu0(seldom, "hard_interrupts") > 150);
  CHECK(cpu0(seldom, "net_rx_action") == Approx(cpu0(seldom, "hard_interrupts")).epsilon(0.05));
}

TEST_CASE("deferred interrupts become polls of the timer, until it found nothing so many times", "[NA-24][NA-25]") {
  const std::string defer = R"("gro_flush_timeout_ns": 20000, "napi_defer_hard_irqs": 3, )";
  const ReplicationResult plain = run(1, 5e5);
  const ReplicationResult deferred = run(1, 5e5, defer);
  // Ten packets per 20 us: the timer always finds some, so that one interrupt is enough.
  CHECK(of_queues(plain, "interrupts", 1) > 3000);
  CHECK(of_queues(deferred, "interrupts", 1) == 1);
  // The timer starts when a poll has completed, so a period is a little longer than 20 us.
  CHECK(of_queues(deferred, "polls", 1) < 20'000 / 20.0);
  CHECK(of_queues(deferred, "polls", 1) > 20'000 / 26.0);
  CHECK(of_queues(deferred, "rx_packets", 1) == Approx(of_queues(plain, "rx_packets", 1)).epsilon(0.01));
  // One packet per ms: after three empty polls the interrupt is open again.
  const ReplicationResult seldom = run(1, 1000, defer);
  CHECK(of_queues(seldom, "interrupts", 1) > 0.8 * of_queues(seldom, "rx_packets", 1));
  CHECK(of_queues(seldom, "polls", 1) == Approx(4 * of_queues(seldom, "interrupts", 1)).epsilon(0.15));
}

TEST_CASE("a NAPI with a thread knows no pass, no budget and no ksoftirqd", "[NA-2][NA-40]") {
  const ReplicationResult threaded = run(1, 60e6, R"("napi_threaded": true, )");
  CHECK(cpu0(threaded, "net_rx_action") == 0);
  CHECK(cpu0(threaded, "time_squeeze") == 0);
  CHECK(cpu0(threaded, "ksoftirqd_wakeups") == 0);
  CHECK(cpu0(threaded, "busy_kthread") > 95);
  CHECK(of_queues(threaded, "rx_packets", 1) > 0.9 * of_queues(run(1, 60e6), "rx_packets", 1));
}

TEST_CASE("a trace reports every poll with the packets that it found", "[NA-20]") {
  RunOptions options;
  options.trace = TraceWindow{Time{0}, Time::never()};
  for (const double rate_pps : {1e5, 6e7}) {
    INFO(rate_pps);
    const ReplicationResult traced = run(1, rate_pps, "", "", options);
    REQUIRE(traced.trace.has_value());
    const auto& packets = traced.trace->poll_packets;
    // The end of the run may cut one off.
    CHECK(static_cast<double>(packets.size()) == Approx(of_queues(traced, "polls", 1)).margin(1));
    CHECK(static_cast<double>(std::accumulate(packets.begin(), packets.end(), std::int64_t{0})) ==
          Approx(of_queues(traced, "rx_packets", 1)).epsilon(0).margin(64));
    CHECK(*std::max_element(packets.begin(), packets.end()) <= 64);
  }
}
