// An eBPF policy that redirects to CPUs over its CPUMAP: entries from the scenario, programs on the remote CPU.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/invariants.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

/// The shipped policy redirect_cpu over CPUs 1 and 2, none of which sleeps deeply: waking takes a good part of 2 ms.
Scenario spread(double rate_pps, const std::string& entries, const std::string& more_params = "") {
  return load_random(R"({"duration_ms": 2, "cpus": {
      "cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"}, "cpu2": {"idle_states": "c1"}},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "policies": {"nic0": {"program": "redirect_cpu", "params": {"cpus_used": 2, "first_cpu": 1)" +
                     more_params + R"(}, "maps": {"cpus": {"entries": {)" + entries + R"(}}}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                     std::to_string(rate_pps) + R"(, "flows": {"count": 100, "destination_ports": "7-8"}}}})");
}

std::string refused(const std::string& entries) {
  return refusal([&] {
    const Scenario scenario = spread(1e5, entries);
    const Host host(scenario, 0);
  });
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string both = R"("cpu1": 192, "cpu2": 192)";
const std::string remote = R"("cpu1": "192,bpf_prog=redirect_cpu_remote", "cpu2": "192,bpf_prog=redirect_cpu_remote")";

}  // namespace

TEST_CASE("a policy spreads packets over the CPUs that its map holds", "[XD-30][XD-31]") {
  const Scenario scenario = spread(2e6, both);
  Host host(scenario, 0);
  const ReplicationResult result = host.run({});
  CHECK(violations(numbers_of(host)) == std::vector<std::string>{});
  const double first = metric(result, "policies.nic0.cpus.cpu1", "xdp_cpumap_enqueue_processed");
  const double second = metric(result, "policies.nic0.cpus.cpu2", "xdp_cpumap_enqueue_processed");
  CHECK(first > 1000);
  CHECK(second > 1000);
  CHECK(metric(result, rx0, "xdp_redirect") == Approx(first + second).margin(16));
  CHECK(place(result.packets, "dropped.xdp_redirect_err") == 0);
  CHECK(place(result.packets, "dropped.no_socket") > 3500);
  CHECK(metric(result, "cpus.cpu0", "processed") == 0);
}

TEST_CASE("a flow whose CPU has no entry stays on its CPU", "[XD-30]") {
  const ReplicationResult result = run_replication(spread(2e6, R"("cpu1": 192)"), {});
  CHECK(metric(result, "cpus.cpu0", "processed") > 1000);
  CHECK(metric(result, "cpus.cpu1", "processed") > 1000);
  CHECK(metric(result, "cpus.cpu2", "processed") == 0);
}

TEST_CASE("the policy's program of section xdp/cpumap runs on the remote CPU", "[XD-33]") {
  const ReplicationResult result = run_replication(spread(2e6, remote, R"(, "drop_port": 7)"), {});
  const double dropped = metric(result, "policies.nic0.cpus.cpu1", "xdp_cpumap_kthread_xdp_drop") +
                         metric(result, "policies.nic0.cpus.cpu2", "xdp_cpumap_kthread_xdp_drop");
  CHECK(dropped > 1500);
  CHECK(static_cast<double>(place(result.packets, "dropped.xdp_cpumap_drop")) == dropped);
  CHECK(metric(result, "policies.nic0.cpus.cpu1", "xdp_cpumap_kthread_xdp_pass") > 500);
  CHECK(place(result.packets, "dropped.xdp_drop") == 0);
}

TEST_CASE("how far CPUs run ahead never changes what a policy's cpumap does", "[engine]") {
  const Scenario scenario = spread(9e6, remote, R"(, "drop_port": 8)");
  std::uint64_t first = 0;
  for (const Time window : {microseconds(1), microseconds(50), milliseconds(1)}) {
    Host host(scenario, 0);
    host.engine().set_window(window);
    const std::uint64_t fingerprint = host.run({}).fingerprint;
    if (first == 0) first = fingerprint;
    CHECK(fingerprint == first);
  }
}

TEST_CASE("an entry that the kernel would refuse is refused with its name and a remedy", "[XD-30]") {
  CHECK(refused(R"("cpu1": 20000)").find("EOVERFLOW: the queue of a cpumap entry holds at most 16384") !=
        std::string::npos);
  CHECK(refused(R"("cpu1": 0)").find("0 deletes the entry of the map; leave it out") != std::string::npos);
  CHECK(refused(R"("cpu1": "192,bpf_prog=redirect_cpu")")
            .find("EINVAL: \"redirect_cpu\" is no program of section xdp/cpumap; the object has redirect_cpu_remote") !=
        std::string::npos);
  CHECK(refused(R"("9": 192)").find("No such device") != std::string::npos);
}
