// XDP_TX: descriptors, doorbell, the link as a server, completions and the way home of the pages.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

/// One queue that sends everything back; `nic` and `more` are further members of the NIC and of the scenario.
Scenario sends_back(const std::string& nic, double rate_pps, const std::string& more = "") {
  return load_random(R"({"duration_ms": 2, "cpus": {"cpu0": {}},
    "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0"}})" +
                     nic + R"(}}, "policies": {"nic0": "tx"})" + more + R"(,
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                     std::to_string(rate_pps) + R"(, "sizes": 64, "flows": {"count": 100}}}})");
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";

}  // namespace

TEST_CASE("what is below one core's capacity is all sent back", "[XD-11]") {
  const ReplicationResult result = run_replication(sends_back("", 5e6), {});
  const std::uint64_t sent = place(result.packets, "transmitted");
  const std::uint64_t flying =
      place(result.packets, "in_flight.nics.nic0") + place(result.packets, "in_flight." + rx0 + ".xdp_tx");
  CHECK(sent > 9000);
  CHECK(sent + flying == result.packets.total);
  CHECK(metric(result, rx0, "xdp_tx_xmit") == metric(result, rx0, "rx_packets"));
  CHECK(metric(result, rx0, "xdp_exception") == 0);
  CHECK(place(result.pages, "tx_ring") <= 1024);
}

TEST_CASE("a full TX ring drops silently and counts", "[XD-10]") {
  const ReplicationResult small =
      run_replication(sends_back(R"(, "tx_ring": 16, "adaptive_rx": false, "rx_usecs": 50, "rx_frames": 64)", 8e6), {});
  const std::uint64_t lost = place(small.packets, "dropped.xdp_tx_full");
  CHECK(lost > 1000);
  CHECK(metric(small, rx0, "xdp_tx_full") == static_cast<double>(lost));
  CHECK(metric(small, rx0, "xdp_exception") == static_cast<double>(lost));
}

TEST_CASE("pages of transmitted frames go back to their pool, first of all its cache", "[XD-11][PP-24]") {
  for (const char* driver : {"mlx5", "mlx5_striding", "ice", "vmxnet3"}) {
    INFO(driver);
    const ReplicationResult result =
        run_replication(sends_back(std::string(R"(, "driver": ")") + driver + '"', 3e6), {});
    const std::string pool = rx0 + ".page_pool";
    CHECK(metric(result, pool, "recycle_cached") > 1000);
    // Only what the cache has no room for.
    CHECK(metric(result, pool, "recycle_ring") == metric(result, pool, "recycle_cache_full"));
    CHECK(metric(result, pool, "page_pool_state_release") == 0);
  }
}

TEST_CASE("a frame that is handed to a NIC without link is lost", "[XD-50]") {
  const ReplicationResult result = run_replication(
      sends_back("", 5e6, R"(, "events": {"down": {"at_ms": 1, "set": {"nics.nic0.link_up": false}}})"), {});
  CHECK(place(result.packets, "dropped.tx_discards_phy") > 0);
  CHECK(place(result.packets, "dropped.tx_discards_phy") < 200);
}

TEST_CASE("transmitting agrees with the reference engine", "[couplings][XD-10][XD-11]") {
  for (const char* driver :
       {"mlx5", "mlx5_striding", "ixgbe", "i40e", "ice", "mlx4", "virtio_net", "vmxnet3", "veth"}) {
    const std::string name = std::string(R"(, "driver": ")") + driver + '"';
    for (const double rate : {5e5, 5e6, 2e7}) {
      INFO(driver << " at " << rate);
      CHECK(compare_with_reference(sends_back(name + R"(, "tx_ring": 64)", rate)).differences ==
            std::vector<std::string>{});
    }
  }
}

TEST_CASE("queues of several CPUs send over one link in time order", "[couplings][XD-50]") {
  const Scenario scenario = load_random(R"({"duration_ms": 2, "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}},
    "nics": {"nic0": {"link_gbps": 10, "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"},
      "rx2": {"cpu": "cpu2"}}}},
    "policies": {"nic0": "tx"},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 12000000, "sizes": 64, "flows": {"count": 100}}}})");
  CHECK(compare_with_reference(scenario).differences == std::vector<std::string>{});
  std::uint64_t first = 0;
  for (const Time window : {microseconds(1), microseconds(50), milliseconds(1)}) {
    Host host(scenario, 0);
    host.engine().set_window(window);
    const std::uint64_t fingerprint = host.run({}).fingerprint;
    if (first == 0) first = fingerprint;
    CHECK(fingerprint == first);
  }
}
