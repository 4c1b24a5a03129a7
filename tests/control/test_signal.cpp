// The signal: a program sees each record from the picosecond of its write on, whatever its CPU has run ahead.
#include <catch2/catch.hpp>

#include "models/host/control_loop.hpp"
#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

/// A flood of one queue with a policy that sheds while RX_OVERLOAD is on.
std::string flood(const std::string& signal, const std::string& policy = "rx_overload_shed") {
  return R"({"duration_ms": 10, "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu2", "rcvbuf": 4194304}},
    "policies": {"nic0": ")" +
         policy + R"("},
    "traffic": {"flood": {"nic": "nic0", "kind": "poisson", "rate_pps": 12000000, "sizes": 64,
                          "flows": {"count": 200, "destination_ports": "4000"}}},
    "control": {"period_us": 20, "signal": )" +
         signal + "}}";
}

}  // namespace

TEST_CASE("a program that reads the signal does the same however far its CPU may run ahead", "[couplings][CT-25]") {
  for (const char* signal : {R"({"period_us": 20, "latency_us": 0})", R"({"period_us": 40, "latency_us": 130})"}) {
    const Scenario scenario = load_random(flood(signal));
    std::uint64_t first = 0;
    for (const Time window : {microseconds(1), microseconds(50), milliseconds(1)}) {
      Host host(scenario, 0);
      host.engine().set_window(window);
      const ReplicationResult result = host.run({});
      CHECK(place(result.packets, "dropped.xdp_drop") > 1000);
      if (first == 0) first = result.fingerprint;
      CHECK(result.fingerprint == first);
    }
  }
}

TEST_CASE("a later write changes what is dropped", "[CT-25]") {
  // The test above could not fail if nobody cared when the record is written.
  const ReplicationResult ideal = run_replication(load_random(flood(R"({"period_us": 20, "latency_us": 0})")), {});
  const ReplicationResult late = run_replication(load_random(flood(R"({"period_us": 20, "latency_us": 20})")), {});
  CHECK(ideal.fingerprint != late.fingerprint);
  CHECK(metric(ideal, "control", "signal_writes") == 2 * 500);
  CHECK(metric(late, "control", "signal_writes") == 2 * 499);
}

TEST_CASE("the first shed packet comes after the first write that could tell it", "[CT-25]") {
  // Nothing is shed while the first record is under way: a write after the end is none.
  const ReplicationResult never = run_replication(load_random(flood(R"({"period_us": 20, "latency_us": 10000})")), {});
  CHECK(place(never.packets, "dropped.xdp_drop") == 0);
}

TEST_CASE("the record holds what the loop read, with a valid bit for each field", "[CT-24]") {
  const Scenario scenario = load_random(flood(R"({"period_us": 20, "latency_us": 0})"));
  Host host(scenario, 0);
  const ReplicationResult result = host.run({});
  const QueueControl& control = *host.control()->queues()[0];
  const bpf::Signal& signal = *control.queue.signal;
  CHECK(signal.abi == bpf::signal_abi);
  CHECK(signal.seq == 2 * 500);
  CHECK(signal.updated_ns == 10'000'000);
  CHECK(signal.state == control.state);
  CHECK((signal.state & bpf::signal_state::rx_overload) != 0);
  CHECK(signal.held == control.reading.held);
  CHECK(signal.rx_size == 1024);
  CHECK(signal.tx_size == 1024);  // of the ring for XDP_TX, which a driver makes for every program
  CHECK(signal.tx_fill == 0);
  namespace valid = bpf::signal_valid;
  CHECK(signal.valid == (valid::state | valid::held | valid::inflight | valid::rx_fill | valid::rx_size |
                         valid::tx_fill | valid::tx_size | valid::hw_drops_total));
  CHECK(metric(result, control.queue.name, "rx_overload_time") > 0);
}

TEST_CASE("with the state forced to zero the policy passes everything", "[CT-24]") {
  const ReplicationResult zero =
      run_replication(load_random(flood(R"({"period_us": 20, "latency_us": 0, "zero": true})")), {});
  CHECK(place(zero.packets, "dropped.xdp_drop") == 0);
}

TEST_CASE("XDP_PASS approves only from a program that declares the signal map", "[CT-36]") {
  const auto run = [](const std::string& policy) {
    std::string text = flood(R"({"period_us": 20, "latency_us": 0})", policy);
    text.insert(text.rfind("}}"), R"(, "breaker": {"threshold": "pages", "pages": 100, "reference_rtt_ms": 1})");
    return run_replication(load_random(text), {});
  };
  const std::string rx0 = "nics.nic0.rx_queues.rx0";
  const ReplicationResult approves = run("breaker_approve");
  // It approves no UDP but to the control port, so it drops by itself what the breaker would refuse.
  CHECK(metric(approves, rx0, "breaker_trips") >= 1);
  CHECK(metric(approves, rx0, "breaker_refused") == 0);
  CHECK(place(approves.packets, "dropped.xdp_drop") > 1000);
  const ReplicationResult sheds = run("rx_overload_shed");
  CHECK(metric(sheds, rx0, "breaker_approved") > 100);
  CHECK(metric(sheds, rx0, "breaker_refused") == 0);
  const ReplicationResult passes = run("pass");
  CHECK(metric(passes, rx0, "breaker_approved") == 0);
  CHECK(metric(passes, rx0, "breaker_refused") > 1000);
}
