// Memory that sockets share, pages that are lost, and the time of the control loop on a CPU.
#include <catch2/catch.hpp>

#include "tests/host/agreement.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

/// Two sockets that nobody reads, or one of them, each of 256 MiB; a quick one beside them.
struct Sockets {
  std::string kernel = "{}";
  std::string memory = R"("total_mib": 512)";
  std::string of_full;  ///< more keys of the sockets that fill up
  std::string more;
  std::string reader = R"({"paused": true})";

  std::string text() const {
    const std::string full = R"("rcvbuf": 268435456, "reader": )" + reader + of_full + "}";
    return R"({"duration_ms": 20, "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}},
      "kernel": {"rmem_max": 1073741823)" +
           (kernel == "{}" ? "" : ", " + kernel) + R"(}, "memory": {)" + memory + R"(},
      "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
      "sockets": {"one": {"port": 4000, "cpu": "cpu1", )" +
           full + R"(, "two": {"port": 4001, "cpu": "cpu1", )" + full +
           R"(, "quick": {"port": 5000, "cpu": "cpu2"}},)" + more + R"(
      "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 1500000, "sizes": 128,
                           "flows": {"count": 50, "destination_ports": "4000-4001"}},
                  "quick": {"nic": "nic0", "kind": "poisson", "rate_pps": 100000, "sizes": 128,
                            "flows": {"count": 50, "destination_ports": "5000"}}}})";
  }
  Scenario scenario() const { return load_random(text()); }
};

void same_in_reference(const Scenario& scenario) {
  CHECK(compare_with_reference(scenario).differences == std::vector<std::string>{});
  CHECK(independent_of_window(scenario));
}

}  // namespace

TEST_CASE("all UDP sockets together hold three quarters of an eighth of memory, whatever their buffers", "[SK-35]") {
  const Scenario scenario = Sockets{}.scenario();
  const ReplicationResult result = run_replication(scenario, {});
  const double managed = 512 * 256;
  const double taken = metric(result, "stack", "udp_mem");
  CHECK(taken < managed / 8 * 0.75);
  CHECK(taken > managed / 8 * 0.74);
  double refused = 0;
  for (const char* name : {"one", "two", "quick"}) {
    refused += metric(result, std::string("sockets.") + name, "UdpMemErrors");
  }
  CHECK(refused > 1000);
  CHECK(static_cast<double>(place(result.packets, "dropped.proto_mem")) == refused);
  CHECK(metric(result, "sockets.one", "UdpRcvbufErrors") == 0);
  // Two packets of 2304 bytes of truesize share a page, unless its other half was the quick one's.
  const double held = metric(result, "nics.nic0.rx_queues.rx0", "held_max");
  CHECK(held > taken * 4096 / 4608);
  CHECK(held < taken);
  same_in_reference(scenario);
}

TEST_CASE("beyond udp_mem[0] an empty socket gets what is less than udp_rmem_min", "[SK-35]") {
  // The 2304 bytes of half a page are under 4096, what veth charges for a page is not.
  Sockets sockets;
  sockets.kernel = R"("udp_mem_pages": 64)";
  std::string text = sockets.text();
  const Scenario half_pages = load_random(text);
  CHECK(metric(run_replication(half_pages, {}), "sockets.quick", "UdpInDatagrams") > 500);
  text.replace(text.find("mlx5"), 4, "veth");
  const Scenario pages = load_random(text);
  CHECK(metric(run_replication(pages, {}), "sockets.quick", "UdpInDatagrams") < 50);
  same_in_reference(pages);
  same_in_reference(half_pages);
}

TEST_CASE("udp_mem comes back as its reader works it off", "[SK-34][SK-35]") {
  Sockets sockets;
  sockets.kernel = R"("udp_mem_pages": 2000)";
  sockets.reader = R"({"rate_pps": 300000})";
  const Scenario scenario = sockets.scenario();
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, "sockets.one", "UdpMemErrors") > 1000);
  CHECK(metric(result, "sockets.one", "UdpInDatagrams") > 3000);
  CHECK(metric(result, "stack", "udp_mem") <= 2000);
  same_in_reference(scenario);
}

TEST_CASE("memory.max bounds the sockets of a group and nobody else's", "[SK-36]") {
  Sockets sockets;
  sockets.memory += R"(, "cgroups": {"apps": {"memory_max_mib": 4}})";
  sockets.of_full = R"(, "cgroup": "apps")";
  const Scenario scenario = sockets.scenario();
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, "memory.cgroups.apps", "memcg_sock") == 1024);
  CHECK(metric(result, "memory.cgroups.apps", "memcg_max_events") ==
        metric(result, "sockets.one", "UdpMemErrors") + metric(result, "sockets.two", "UdpMemErrors"));
  CHECK(metric(result, "sockets.quick", "UdpMemErrors") == 0);
  same_in_reference(scenario);
}

TEST_CASE("memory.max bounds TCP connections too, and they go on", "[SK-36][TC-35]") {
  const Scenario scenario = load_random(R"({"duration_ms": 20, "cpus": {"cpu0": {}, "cpu1": {}},
    "memory": {"total_mib": 512, "cgroups": {"web": {"memory_max_mib": 0.25}}},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"web": {"protocol": "tcp", "port": 80, "cpu": "cpu1", "cgroup": "web",
                        "reader": {"service_ns": 20000}}},
    "traffic": {"web": {"nic": "nic0", "kind": "tcp", "path": {"rtt_us": 200},
                        "flows": {"count": 4, "destination_ports": "80"}}}})");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, "memory.cgroups.web", "memcg_max_events") == metric(result, "sockets.web", "proto_mem"));
  CHECK(metric(result, "sockets.web", "proto_mem") > 0);
  // What is forced into an empty connection may go beyond it.
  CHECK(metric(result, "nics.nic0.rx_queues.rx0", "held_max") < 64 + 16);
  CHECK(metric(result, "sockets.web", "delivered_pps") > 30000);
  same_in_reference(scenario);
}

TEST_CASE("a leak keeps its pages for ever and the ledger says so", "[SK-37]") {
  Sockets sockets;
  sockets.reader = R"({"service_ns": 100})";
  sockets.more = R"("faults": {"leaks": {"one": {"share": 0.05, "start_ms": 5}}},)";
  const Scenario scenario = sockets.scenario();
  const ReplicationResult result = run_replication(scenario, {});
  const double leaked = metric(result, "sockets.one", "leaked");
  // 750,000 packets/s for 15 ms, one in twenty; four standard deviations.
  CHECK(leaked == Approx(560).margin(100));
  // Some of them share a page.
  CHECK(static_cast<double>(place(result.pages, "leaked")) <= leaked);
  CHECK(static_cast<double>(place(result.pages, "leaked")) > 0.9 * leaked);
  CHECK(place(result.packets, "delivered") > 20000);
  same_in_reference(scenario);
}

TEST_CASE("looks cost a CPU's time when they are given one", "[CT-52]") {
  Sockets sockets;
  sockets.more =
      R"("control": {"period_us": 100, "cpu": "cpu2", "look_ns": 2000, "detectors": {"main": {"kind": "ewma"}}},)";
  const Scenario scenario = sockets.scenario();
  const ReplicationResult result = run_replication(scenario, {});
  // 200 looks of 2 us; the last may still be going on.
  CHECK(metric(result, "control", "control_time") == Approx(200 * 2e6).epsilon(0.01));
  CHECK(metric(result, "cpus.cpu2", "busy_application") > 2);
  same_in_reference(scenario);
}
