// XDP_REDIRECT to a device: bulk queues, the target's transmit queues and their interrupt, drops, the way home of the
// pages.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"
#include "tests/host/same_as_reference.hpp"

using namespace rxpool;

namespace {

struct Pair {
  std::string from = R"("driver": "mlx5")";  ///< members of the NIC that redirects
  std::string to = R"("driver": "mlx5")";    ///< of its target
  std::string from_queues = R"("rx0": {"cpu": "cpu0"})";
  std::string to_queues = R"("rx0": {"cpu": "cpu0"})";
  std::string cpus = R"("cpu0": {})";
  std::string attached = R"("nic1": "pass")";
  int frame_bytes = 64;
};

Scenario redirects(double rate_pps, const Pair& pair = {}) {
  return load_random(R"({"duration_ms": 2, "cpus": {)" + pair.cpus + R"(},
    "nics": {"nic0": {)" +
                     pair.from + R"(, "rx_queues": {)" + pair.from_queues + R"(}},
             "nic1": {)" +
                     pair.to + R"(, "rx_queues": {)" + pair.to_queues + R"(}}},
    "policies": {"nic0": {"program": "redirect", "params": {"to": "nic1"}})" +
                     (pair.attached.empty() ? "" : ", " + pair.attached) + R"(},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                     std::to_string(rate_pps) + R"(, "sizes": )" + std::to_string(pair.frame_bytes) +
                     R"(, "flows": {"count": 100}}}})");
}

std::string refused(double rate_pps, const Pair& pair) {
  return refusal([&] { redirects(rate_pps, pair); });
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string xdp0 = "nics.nic1.tx_queues.xdp0";
const std::string two_cpus = R"("cpu0": {}, "cpu1": {})";
/// Waking from a deep state takes a good part of 2 ms.
const std::string light_sleeper = R"("cpu0": {"idle_states": "c1"})";
const std::string two_light_sleepers = R"("cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"})";

}  // namespace

TEST_CASE("a target that is fast enough sends every redirected packet", "[XD-15][XD-20][XD-21]") {
  const ReplicationResult result = run_replication(redirects(2e6), {});
  CHECK(place(result.packets, "transmitted") > 3500);
  CHECK(place(result.packets, "dropped.xdp_devmap_xmit") == 0);
  CHECK(metric(result, rx0, "xdp_redirect") == metric(result, rx0, "rx_packets"));
  CHECK(metric(result, rx0, "xdp_devmap_xmit_sent") == metric(result, xdp0, "tx_xdp_xmit"));
  CHECK(metric(result, rx0, "xdp_devmap_xmit") * 16 >= metric(result, rx0, "xdp_redirect"));
}

TEST_CASE("a slower target fills its ring and the rest is dropped silently", "[XD-21]") {
  const Pair slow{.to = R"("link_gbps": 1, "tx_ring": 128)", .cpus = light_sleeper, .frame_bytes = 512};
  const ReplicationResult result = run_replication(redirects(2e6, slow), {});
  const auto dropped = static_cast<double>(place(result.packets, "dropped.xdp_devmap_xmit"));
  CHECK(dropped > 1000);
  CHECK(metric(result, rx0, "xdp_devmap_xmit_drops") == dropped);
  CHECK(metric(result, rx0, "xdp_redirect_err") == 0);
  CHECK(metric(result, xdp0, "tx_xdp_full") > 0);
  // 512 bytes and 20 of preamble and gap at 1 Gbit/s.
  CHECK(metric(result, xdp0, "tx_pps") == Approx(1e9 / (8 * 532)).epsilon(0.05));
}

TEST_CASE("a packet that is too long for the target is refused when it is redirected", "[XD-21]") {
  const Pair narrow{.to = R"("mtu": 500)", .frame_bytes = 1000};
  const ReplicationResult result = run_replication(redirects(1e5, narrow), {});
  CHECK(place(result.packets, "dropped.xdp_redirect_err") > 100);
  CHECK(metric(result, rx0, "xdp_redirect") == 0);
}

TEST_CASE("pages come home over the ring where the target is served by another CPU", "[XD-4][XD-22][PP-30]") {
  // Moderation that stands still: at the 64 us that DIM may reach, most frames complete before their slot is refilled.
  const Pair apart{.from = R"("driver": "mlx5", "adaptive_rx": false)",
                   .to = R"("driver": "ice")",
                   .to_queues = R"("rx0": {"cpu": "cpu1"})",
                   .cpus = two_light_sleepers};
  const ReplicationResult result = run_replication(redirects(2e6, apart), {});
  const std::string pool = rx0 + ".page_pool";
  CHECK(metric(result, pool, "recycle_ring") > 3000);
  // What completes before its slot is refilled the driver releases itself (DR-11).
  CHECK(metric(result, pool, "recycle_cached") < metric(result, pool, "recycle_ring") / 2);
}

TEST_CASE("a redirect that the kernel would refuse is refused with its name and a remedy", "[XD-51][XD-52]") {
  const std::string mlx4 = refused(1e5, {.to = R"("driver": "mlx4")"});
  CHECK(mlx4.find("policies.nic0.params.to: EOPNOTSUPP: mlx4 has no ndo_xdp_xmit") != std::string::npos);
  const std::string bare = refused(1e5, {.attached = ""});
  CHECK(bare.find("ENXIO: mlx5 has transmit queues for redirects only while a program is attached") !=
        std::string::npos);
  CHECK(bare.find("set policies.nic1 to \"pass\"") != std::string::npos);
  const std::string channels = refused(1e5, {.from_queues = R"("rx0": {"cpu": "cpu1"})", .cpus = two_cpus});
  CHECK(channels.find("ENXIO: mlx5 transmits on the queue with the number of the CPU, and nic1 has 1 for CPU 1") !=
        std::string::npos);
  CHECK(refused(1e5, {.to = R"("driver": "ixgbe")", .from_queues = R"("rx0": {"cpu": "cpu1"})", .cpus = two_cpus}) ==
        "");
}

TEST_CASE("redirecting agrees with the reference engine", "[couplings][XD-20][XD-21][XD-22]") {
  for (const char* driver : {"mlx5", "ixgbe", "ice", "virtio_net", "vmxnet3", "veth"}) {
    for (const double rate : {3e5, 3e6, 1.5e7}) {
      INFO(driver << " at " << rate);
      Pair pair{.from = std::string(R"("driver": ")") + driver + '"', .to = R"("link_gbps": 1, "tx_ring": 64)"};
      same_as_reference(redirects(rate, pair));
    }
  }
}

TEST_CASE("CPUs that share a transmit queue take turns at its lock", "[couplings][XD-52]") {
  Pair pair{.to = R"("driver": "ixgbe", "tx_usecs": 10)",
            .from_queues = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"}, "rx2": {"cpu": "cpu2"})",
            .to_queues = R"("rx0": {"cpu": "cpu3"}, "rx1": {"cpu": "cpu1"})",
            .cpus = R"("cpu0": {}, "cpu1": {}, "cpu2": {}, "cpu3": {})"};
  const Scenario scenario = redirects(1e7, pair);
  same_as_reference(scenario);
  std::uint64_t first = 0;
  for (const Time window : {microseconds(1), microseconds(50), milliseconds(1)}) {
    Host host(scenario, 0);
    host.engine().set_window(window);
    const std::uint64_t fingerprint = host.run({}).fingerprint;
    if (first == 0) first = fingerprint;
    CHECK(fingerprint == first);
  }
}
