// The return program of a policy, called where skbs are freed.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

/// A reader that is slower than its packets come, by a tenth.
std::string slow_reader(const std::string& policy, const std::string& cpus = R"("cpu0": {}, "cpu1": {})",
                        const std::string& reader_cpu = "cpu1") {
  return R"({"duration_ms": 300, "record": {"per_step": true}, "cpus": {)" + cpus + R"(}, "memory": {"total_mib": 2048},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"service": {"port": 9, "cpu": ")" +
         reader_cpu + R"(", "rcvbuf": 4194304, "reader": {"rate_pps": 50000}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 51000, "sizes": 512, "flows": 1}},
    "policies": {"nic0": )" +
         policy + "}}";
}

const std::string codel = R"({"program": "codel_return", "params": {"target_us": 500, "interval_us": 10000}})";

}  // namespace

TEST_CASE("CoDel at the return hook keeps a queue short that its socket would fill", "[return]") {
  const ReplicationResult with = run_replication(load_random(slow_reader(codel)), {});
  const ReplicationResult without = run_replication(load_random(slow_reader("\"pass\"")), {});
  CHECK(metric(without, "sockets.service", "socket_latency_max") > 3.5e6);
  CHECK(metric(with, "sockets.service", "socket_latency_p90") < 3e6);
  const double drops = metric(with, "policies.nic0", "return_drops");
  CHECK(drops > 20);
  CHECK(drops == metric(with, "nics.nic0.rx_queues.rx0", "xdp_drop"));
  // Deferred frees are flushed just before the poll whose packet the decision falls on.
  CHECK(metric(with, "policies.nic0", "return_lag_mean") > 0);
  CHECK(metric(with, "policies.nic0", "return_lag_mean") < 60'000);
  CHECK(metric(with, "policies.nic0", "return_lag_max") >= metric(with, "policies.nic0", "return_lag_mean"));
}

TEST_CASE("the CPU that frees pays for the return program, in the context that frees", "[return]") {
  const auto paid_by_reader = [](const std::string& policy) {
    const std::string one_cpu = slow_reader(policy, R"("cpu0": {}, "cpu1": {})", "cpu0");
    return metric(run_replication(load_random(one_cpu), {}), "cpus.cpu0.steps.application.xdp_program", "step_time");
  };
  CHECK(paid_by_reader(codel) > 0);
  CHECK(paid_by_reader(R"({"program": "drop_udp_port", "params": {"port": 10}})") == 0);
}

TEST_CASE("a program measures by its own time stamp", "[return]") {
  const std::string stamped =
      R"({"program": "codel_return", "params": {"target_us": 500, "interval_us": 10000, "stamp": 1}})";
  const ReplicationResult result = run_replication(load_random(slow_reader(stamped)), {});
  CHECK(metric(result, "policies.nic0", "return_drops") > 20);
}

TEST_CASE("return programs of several CPUs take turns in their maps", "[return][engine]") {
  for (const char* reader_cpu : {"cpu0", "cpu1"}) {
    const Scenario scenario = load_random(slow_reader(codel, R"("cpu0": {}, "cpu1": {})", reader_cpu));
    std::uint64_t first = 0;
    for (const Time window : {microseconds(1), microseconds(50), milliseconds(1)}) {
      Host host(scenario, 0);
      host.engine().set_window(window);
      const std::uint64_t fingerprint = host.run({}).fingerprint;
      if (first == 0) first = fingerprint;
      CHECK(fingerprint == first);
    }
  }
}
