// TX_OVERLOAD from transmit rings, and the egress hook: who drops when the ring is full.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/invariants.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"
#include "tests/host/same_as_reference.hpp"

using namespace rxpool;

namespace {

constexpr int bulk_bytes = 512;
constexpr int urgent_bytes = 128;

/// Two classes to a device that is too slow for both.
std::string classes(const std::string& policy, const std::string& more = "") {
  return R"({"duration_ms": 6, "cpus": {"cpu0": {"idle_states": "c1"}},
    "nics": {"nic0": {"driver": "mlx5", "tx_ring": 64, "rx_queues": {"rx0": {"cpu": "cpu0"}}},
             "nic1": {"driver": "mlx5", "link_gbps": 1, "tx_ring": 256, "rx_queues": {"rx0": {"cpu": "cpu0"}}},
             "nic2": {"driver": "mlx5", "link_gbps": 10, "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "policies": {"nic0": )" +
         policy + R"(, "nic1": "pass", "nic2": "pass"}, )" + more + R"(
    "traffic": {"bulk": {"nic": "nic0", "kind": "poisson", "rate_pps": 1500000, "sizes": )" +
         std::to_string(bulk_bytes) + R"(, "flows": {"count": 100, "destination_ports": "80"}},
      "urgent": {"nic": "nic0", "kind": "poisson", "rate_pps": 50000, "sizes": )" +
         std::to_string(urgent_bytes) + R"(, "flows": {"count": 10, "destination_ports": "5060"}}}})";
}

std::string shipped(const std::string& params) {
  return R"({"program": "egress_classes", "params": {)" + params +
         R"(}, "maps": {"devices": {"entries": {"0": "nic1"}}}})";
}

std::string own(const std::string& params) {
  return R"({"program": ")" + std::string(RXPOOL_HOST_TEST_OBJECTS) + R"(/egress.bpf.o", "params": {)" + params +
         R"(}, "maps": {"devices": {"entries": {"0": "nic1", "1": "nic2"}}}})";
}

/// Frames of the short kind that left, from packets and bytes.
double urgent_sent(const ReplicationResult& result) {
  const std::string queue = "nics.nic1.tx_queues.xdp0";
  return (bulk_bytes * metric(result, queue, "tx_packets") - metric(result, queue, "tx_bytes")) /
         (bulk_bytes - urgent_bytes);
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string to_slow = R"({"program": "redirect", "params": {"to": "nic1"}})";

}  // namespace

TEST_CASE("a full transmit ring raises TX_OVERLOAD for the queue that feeds it", "[CT-23]") {
  const std::string watch = R"("control": {"detectors": {"main": {"kind": "ewma"}}}, )";
  const ReplicationResult slow = run_replication(load_random(classes(to_slow, watch)), {});
  CHECK(metric(slow, rx0, "tx_overload_time") > 4e9);
  const std::string to_fast = R"({"program": "redirect", "params": {"to": "nic2"}})";
  const ReplicationResult fast = run_replication(load_random(classes(to_fast, watch)), {});
  CHECK(metric(fast, rx0, "tx_overload_time") == 0);
}

TEST_CASE("without an egress program both classes lose alike, silently", "[XD-21]") {
  const ReplicationResult result = run_replication(load_random(classes(to_slow)), {});
  CHECK(place(result.packets, "dropped.xdp_devmap_xmit") > 5000);
  CHECK(urgent_sent(result) < 150);  // of 300
}

TEST_CASE("an egress program drops the class that may wait and the driver drops nothing", "[XD-70][XD-71]") {
  const Scenario scenario = load_random(classes(shipped(R"("sheds_at_rx": 0)")));
  Host host(scenario, 0);
  const ReplicationResult result = host.run({});
  CHECK(violations(numbers_of(host)) == std::vector<std::string>{});
  CHECK(place(result.packets, "dropped.xdp_devmap_xmit") == 0);
  CHECK(metric(result, rx0, "xdp_egress_drop") ==
        static_cast<double>(place(result.packets, "dropped.xdp_egress_drop")));
  CHECK(metric(result, rx0, "xdp_egress_drop") > 5000);
  CHECK(urgent_sent(result) > 250);  // of 300; some are still in the ring
}

TEST_CASE("told to back off, ingress drops before it redirects", "[XD-72][CT-23]") {
  const ReplicationResult told = run_replication(load_random(classes(shipped(""))), {});
  CHECK(metric(told, rx0, "xdp_egress_backoff") > 0);
  CHECK(metric(told, rx0, "tx_overload_time") > 4e9);
  CHECK(metric(told, rx0, "xdp_drop") > 4 * metric(told, rx0, "xdp_egress_drop"));
  CHECK(urgent_sent(told) > 250);
  const ReplicationResult not_told = run_replication(load_random(classes(shipped(R"("sheds_at_rx": 0)"))), {});
  CHECK(metric(told, "cpus.cpu0", "busy") < metric(not_told, "cpus.cpu0", "busy"));
}

TEST_CASE("an egress program sends what does not fit to another device", "[XD-71]") {
  for (const char* way : {"0", "1"}) {  // redirect and XDP_TX
    INFO("way " << way);
    const Scenario scenario = load_random(classes(own(std::string(R"("way": )") + way)));
    Host host(scenario, 0);
    const ReplicationResult result = host.run({});
    CHECK(violations(numbers_of(host)) == std::vector<std::string>{});
    CHECK(metric(result, rx0, "xdp_egress_redirect") > 1000);
    const double sent = metric(result, "nics.nic2.tx_queues.xdp0", "tx_xdp_xmit");
    CHECK(metric(result, rx0, "xdp_egress_redirect") - sent <= 17);  // in a bulk queue
    CHECK(metric(result, rx0, "xdp_egress_redirect") >= sent);
    CHECK(place(result.packets, "dropped.xdp_egress_drop") == 0);
  }
}

TEST_CASE("TX_OVERLOAD of built-in programs agrees with the reference engine", "[couplings][CT-23]") {
  const std::string watch = R"("control": {"period_us": 20, "detectors": {"main": {"kind": "ewma"}}}, )";
  same_as_reference(load_random(classes(to_slow, watch)));
}

TEST_CASE("how far a CPU runs ahead does not change what an egress program sees", "[engine]") {
  CHECK(independent_of_window(load_random(classes(shipped("")))));
}
