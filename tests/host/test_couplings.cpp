// One test per coupling of docs/architecture.md: in each of them the wrong order would change what is checked.
#include <catch2/catch.hpp>
#include <cmath>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"
#include "tests/host/same_as_reference.hpp"

using namespace rxpool;

namespace {

const std::string traffic_4000 = R"("sizes": 128, "flows": {"count": 20, "destination_ports": "4000"})";

}  // namespace

TEST_CASE("a descriptor posted one step later comes too late", "[couplings]") {
  // Bursts against a small ring: at each refill some packets are just in time and some are not.
  const Scenario scenario = load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {}},
    "nics": {"nic0": {"driver": "mlx5", "rx_ring": 64, "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "policies": {"nic0": "drop"},
    "traffic": {"burst": {"nic": "nic0", "kind": "poisson", "rate_pps": 20000000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(place(result.packets, "dropped.rx_out_of_buffer") > 1000);
  CHECK(place(result.packets, "dropped.xdp_drop") > 1000);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a queue at one packet per millisecond is served at its exact instant beside a flood", "[couplings][NA-50]") {
  const auto text = [](const std::string& flood_rate) {
    return R"({"duration_ms": 20, "cpus": {"cpu0": {}, "cpu1": {}},
      "nics": {"nic0": {"driver": "mlx5", "adaptive_rx": false, "rx_usecs": 5, "link_gbps": 400, "pcie": {"packet_ns": 1},
        "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"}},
        "ntuple": {"rare": {"protocol": "udp", "dst_port": 5000, "queue": "rx1"}, "flood": {"protocol": "udp", "dst_port": 4000, "queue": "rx0"}}}},
      "policies": {"nic0": "drop"},
      "traffic": {
        "flood": {"nic": "nic0", "kind": "constant", "rate_pps": )" +
           flood_rate + R"(, "sizes": 64, "flows": {"destination_ports": "4000"}},
        "rare": {"nic": "nic0", "kind": "constant", "rate_pps": 1000, "sizes": 64, "flows": {"destination_ports": "5000"}}}})";
  };
  const Scenario scenario = load_random(text("10000000"));
  const ReplicationResult result = run_replication(scenario, {});
  const std::string rare = "nics.nic0.rx_queues.rx1";
  CHECK(metric(result, rare, "rx_packets") >= 19);
  CHECK(metric(result, rare, "interrupts") == metric(result, rare, "rx_packets"));
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("room in a socket is taken and given back in time order", "[couplings][SK-31][SK-34]") {
  const Scenario scenario = load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {}, "cpu1": {}},
    "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu1", "rcvbuf": 8192, "reader": {"service_ns": 900}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 800000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(place(result.packets, "dropped.socket_rcvbuff") > 100);
  CHECK(place(result.packets, "delivered") > 100);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a page that a reader frees comes back through the allocating CPU", "[couplings][SK-40][SK-42]") {
  const Scenario scenario = load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {}, "cpu1": {}},
    "kernel": {"skb_defer_max": 8},
    "nics": {"nic0": {"rx_ring": 64, "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu1", "rcvbuf": 1048576}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 900000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, "stack", "skb_deferred") > 100);
  CHECK(metric(result, "stack", "skb_defer_rejected") > 0);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a CPU that queues ahead of the readers meets what they do at its time", "[couplings][SK-34][SK-42]") {
  // Two readers leave skbs on one list, which interrupts its CPU, and give room back in lumps; a third CPU queues too.
  for (const std::string defer_max : {"0", "6", "40", "128"}) {
    const Scenario scenario = load_random(R"({"duration_ms": 3,
      "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}, "cpu3": {}}, "kernel": {"skb_defer_max": )" +
                                          defer_max + R"(},
      "nics": {"nic0": {"rx_ring": 256, "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu3"}},
        "ntuple": {"other": {"protocol": "udp", "dst_port": 5000, "queue": "rx1"},
                   "second": {"protocol": "udp", "dst_port": 4001, "queue": "rx0"},
                   "first": {"protocol": "udp", "dst_port": 4000, "queue": "rx0"}}}},
      "sockets": {
        "first": {"port": 4000, "cpu": "cpu1", "rcvbuf": 65536, "reader": {"service_ns": 700}},
        "second": {"port": 4001, "cpu": "cpu2", "rcvbuf": 262144, "reader": {"service_ns": 300}},
        "other": {"port": 5000, "cpu": "cpu1", "rcvbuf": 32768, "reader": {"service_ns": 2000}}},
      "traffic": {
        "first": {"nic": "nic0", "kind": "poisson", "rate_pps": 1000000, "flows": {"destination_ports": "4000"}},
        "second": {"nic": "nic0", "kind": "poisson", "rate_pps": 900000, "flows": {"destination_ports": "4001"}},
        "other": {"nic": "nic0", "kind": "poisson", "rate_pps": 50000, "flows": {"destination_ports": "5000"}}}})");
    const ReplicationResult result = run_replication(scenario, {});
    CHECK(place(result.packets, "dropped.socket_rcvbuff") > 100);
    CHECK(place(result.packets, "delivered") > 1000);
    same_as_reference(scenario);
    CHECK(independent_of_window(scenario));
  }
}

TEST_CASE("two queues that drain one zone share it in time order", "[couplings][PA-44]") {
  const Scenario scenario = load_random(R"({"duration_ms": 4, "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}},
    "kernel": {"udp_mem_pages": 16384}, "memory": {"total_mib": 64, "free_mib": 8},
    "nics": {"nic0": {"driver": "mlx5", "rx_ring": 256, "rx_queues": {"rx0": {"cpu": "cpu0"}}},
             "nic1": {"driver": "ixgbe", "rx_ring": 256, "rx_queues": {"rx0": {"cpu": "cpu1"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu2", "rcvbuf": 4194304, "reader": {"paused": true}}},
    "traffic": {"a": {"nic": "nic0", "kind": "poisson", "rate_pps": 900000, )" +
                                        traffic_4000 + R"(},
                "b": {"nic": "nic1", "kind": "poisson", "rate_pps": 900000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, "memory", "alloc_fail") > 0);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a leak takes its pages between the refills", "[couplings][PA-51]") {
  const Scenario scenario = load_random(R"({"duration_ms": 4, "cpus": {"cpu0": {}, "cpu1": {}},
    "memory": {"total_mib": 64, "free_mib": 16, "kswapd": {"wake_latency_us": 20, "pages_per_ms": 2000},
               "background": {"leak": {"pages_per_ms": 1500, "hold_ms": 1, "blocking": false}}},
    "nics": {"nic0": {"driver": "mlx5", "rx_ring": 256, "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu1", "rcvbuf": 4194304, "reader": {"service_ns": 3000}}},
    "traffic": {"a": {"nic": "nic0", "kind": "poisson", "rate_pps": 900000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(place(result.pages, "other") > 0);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a policy that changes acts from its instant on", "[couplings]") {
  const Scenario scenario = load_random(R"({"duration_ms": 2, "cpus": {"cpu0": {}},
    "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "policies": {"nic0": "pass"},
    "events": {"close": {"at_ms": 1, "set": {"policies.nic0": "drop"}}},
    "traffic": {"load": {"nic": "nic0", "kind": "constant", "rate_pps": 500000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  const std::uint64_t passed = place(result.packets, "dropped.no_socket");
  const std::uint64_t dropped = place(result.packets, "dropped.xdp_drop");
  CHECK(passed > 400);
  CHECK(passed <= 500);
  CHECK(dropped > 400);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a moved interrupt leaves the running poll where it is", "[couplings][NA-2]") {
  const Scenario scenario = load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}},
    "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu2"}},
    "events": {"away": {"at_ms": 1, "set": {"nics.nic0.rx_queues.rx0.cpu": "cpu1"}},
               "back": {"at_ms": 2, "set": {"nics.nic0.rx_queues.rx0.cpu": "cpu0"}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 700000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, "cpus.cpu1", "processed") > 400);
  CHECK(metric(result, "cpus.cpu0", "processed") > 900);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a NAPI thread that never stops polling takes one interrupt", "[couplings][NA-47]") {
  const auto polled = [](const std::string& members, const std::string& more) {
    return load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {}, "cpu1": {}}, )" + more + R"("nics": {"nic0": {
      "rx_queues": {"rx0": {"cpu": "cpu0", "thread_cpu": "cpu1", "napi_busy_poll": true)" +
                       members +
                       R"(}}}}, "sockets": {"app": {"port": 4000, "cpu": "cpu0", "reader": {"service_ns": 500}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 300000, )" +
                       traffic_4000 + "}}}");
  };
  const std::string threaded = R"(, "napi_threaded": true)";
  const Scenario scenario = polled(threaded, "");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, "nics.nic0.rx_queues.rx0", "interrupts") == 1);
  CHECK(metric(result, "cpus.cpu1", "busy_kthread") > 90);  // from the first interrupt on
  CHECK(place(result.packets, "delivered") > 850);
  const ReplicationResult woken =
      run_replication(load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {}, "cpu1": {}}, "nics": {"nic0": {
      "rx_queues": {"rx0": {"cpu": "cpu0", "thread_cpu": "cpu1", "napi_threaded": true}}}},
      "sockets": {"app": {"port": 4000, "cpu": "cpu0", "reader": {"service_ns": 500}}},
      "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 300000, )" +
                                  traffic_4000 + "}}}"),
                      {});
  CHECK(metric(result, "sockets.app", "socket_latency_mean") < metric(woken, "sockets.app", "socket_latency_mean"));
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
  CHECK(refusal([&] { polled("", ""); }).find("EINVAL: only a NAPI thread can poll without end") != std::string::npos);
  CHECK(refusal([&] { polled(threaded, R"("kernel": {"release": "6.12"}, )"); }).find("no kernel before 6.18") !=
        std::string::npos);
}

TEST_CASE("a NAPI thread runs on the CPU that the scenario gives it", "[couplings][NA-41]") {
  const Scenario scenario = load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {}, "cpu1": {}},
    "nics": {"nic0": {"napi_threaded": true, "napi_defer_hard_irqs": 2, "gro_flush_timeout_ns": 20000,
                      "rx_queues": {"rx0": {"cpu": "cpu0", "thread_cpu": "cpu1"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu1", "reader": {"service_ns": 500}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 300000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, "cpus.cpu0", "processed") == 0);
  CHECK(metric(result, "cpus.cpu1", "processed") > 700);
  CHECK(place(result.packets, "delivered") > 500);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("CPUs whose policy counts in one map come in time order", "[couplings]") {
  const Scenario scenario = load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {}, "cpu1": {}},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"}}}},
    "policies": {"nic0": ")" RXPOOL_HOST_TEST_OBJECTS R"(/shared_counter.bpf.o"},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 4000000, )" +
                                        traffic_4000 + "}}}");
  const ReplicationResult result = run_replication(scenario, {});
  double seen = 0;
  double passed = 0;
  for (const char* queue : {"nics.nic0.rx_queues.rx0", "nics.nic0.rx_queues.rx1"}) {
    CHECK(metric(result, queue, "rx_packets") > 3000);
    CHECK(metric(result, queue, "xdp_aborted") == 0);
    CHECK(metric(result, queue, "xdp_pass") > 100);
    seen += metric(result, queue, "rx_packets");
    passed += metric(result, queue, "xdp_pass");
  }
  CHECK(passed == std::floor(seen / 8));
  CHECK(independent_of_window(scenario));
}
