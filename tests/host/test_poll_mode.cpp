// Poll-mode drivers in user space: bursts, mempool, send ring, what a stalled application keeps.
#include <catch2/catch.hpp>

#include <algorithm>

#include "models/host/host.hpp"
#include "models/host/topology.hpp"
#include "models/result.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/invariants.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"
#include "tests/host/same_as_reference.hpp"

using namespace rxpool;

namespace {

struct Form {
  std::string pmd = R"("action": "forward")";        ///< members of the driver
  std::string application = "";                      ///< of its application
  std::string nic = R"("driver": "mlx5")";           ///< of the NIC
  std::string queues = R"("rx0": {"cpu": "cpu0"})";  ///< of the NIC
  std::string more = "";                             ///< of the scenario
  int frame_bytes = 64;
  double duration_ms = 1;
};

Scenario polled(double rate_pps, const Form& form = {}) {
  return load_random(R"({"duration_ms": )" + std::to_string(form.duration_ms) +
                     R"(, "cpus": {"cpu0": {}, "cpu1": {"idle_states": "c1"}}, "nics": {"nic0": {)" + form.nic +
                     R"(, "rx_queues": {)" + form.queues + R"(}}}, )" + form.more +
                     R"("pmds": {"fwd": {"nic": "nic0", "queue": "rx0")" + (form.pmd.empty() ? "" : ", " + form.pmd) +
                     R"(, "application": {)" + form.application + R"(}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                     std::to_string(rate_pps) + R"(, "sizes": )" + std::to_string(form.frame_bytes) +
                     R"(, "flows": {"count": 100}}}})");
}

std::string refused(const Form& form) {
  return refusal([&] { polled(1e5, form); });
}

const std::string fwd = "pmds.fwd";
const std::string rx0 = "nics.nic0.rx_queues.rx0";

}  // namespace

TEST_CASE("a poll-mode driver forwards without interrupt, softirq or page_pool", "[PM-1][PM-2][PM-4]") {
  const ReplicationResult result = run_replication(polled(1e6), {});
  CHECK(place(result.packets, "transmitted") + 20 > result.packets.total);
  CHECK(metric(result, fwd, "ipackets") > 900);
  CHECK(metric(result, fwd + ".tx", "tx_packets") == static_cast<double>(place(result.packets, "transmitted")));
  CHECK(metric(result, rx0, "interrupts") + metric(result, rx0, "polls") == 0);
  CHECK(metric(result, "cpus.cpu0", "net_rx_action") == 0);
  CHECK(metric(result, "cpus.cpu0", "busy_application") > 99);
  CHECK(place(result.pages, "pool_cache") + place(result.pages, "pool_ring") == 0);
}

TEST_CASE("its memory is the mempool, whoever has an mbuf", "[PM-3]") {
  for (const double rate : {1e5, 5e7}) {
    const ReplicationResult result = run_replication(polled(rate), {});
    CHECK(place(result.pages, "mempool") + place(result.pages, "posted") + place(result.pages, "tx_ring") +
              place(result.pages, "pmd_application") ==
          8192);
    CHECK(place(result.pages, "posted") == 1024);
  }
}

TEST_CASE("a stalled application keeps its burst and the NIC drops what the ring does not take", "[PM-6]") {
  const ReplicationResult result =
      run_replication(polled(5e6, {.pmd = "", .application = R"("pauses": {"gc": {"at_ms": 0.2, "for_ms": 5}})"}), {});
  CHECK(metric(result, rx0, "rx_out_of_buffer") > 2000);
  CHECK(place(result.packets, "in_flight.nics.nic0") == 1024);
  CHECK(place(result.pages, "posted") + place(result.pages, "mempool") + place(result.pages, "pmd_application") ==
        8192);
}

TEST_CASE("what finds no transmit descriptor, the application frees", "[PM-4]") {
  const Form slow_link{.nic = R"("driver": "mlx5", "link_gbps": 10, "tx_ring": 64)", .frame_bytes = 64};
  const Form down{.nic = slow_link.nic, .more = R"("events": {"slow": {"at_ms": 0.2, "set": {"nics.nic0.link_gbps": 1}},
      "fast": {"at_ms": 0.4, "set": {"nics.nic0.link_gbps": 10}}}, )"};
  const ReplicationResult result = run_replication(polled(1.4e7, down), {});
  CHECK(metric(result, fwd, "tx_burst_full") == static_cast<double>(place(result.packets, "dropped.tx_burst_full")));
  CHECK(metric(result, fwd, "tx_burst_full") > 0);
}

TEST_CASE("a larger burst spreads what each look and doorbell costs", "[PM-2]") {
  double before = 0;
  for (const int burst : {1, 4, 32, 256}) {
    const Form form{.pmd = R"("action": "forward", "burst": )" + std::to_string(burst)};
    const ReplicationResult result = run_replication(polled(1e8, form), {});
    const double rate = metric(result, fwd + ".tx", "tx_pps");
    CHECK(rate > before * 1.02);
    before = rate;
  }
}

TEST_CASE("in overload a packet waits for the service of a whole ring", "[PM-2]") {
  const auto overloaded = [](int ring) {
    const Form form{.nic = R"("driver": "mlx5", "rx_ring": )" + std::to_string(ring), .duration_ms = 4};
    return run_replication(polled(1e8, form), {});
  };
  const ReplicationResult small = overloaded(1024);
  const ReplicationResult large = overloaded(2048);
  const auto ring_ns = [](const ReplicationResult& result, int ring) {
    return 1e9 * ring / metric(result, fwd + ".tx", "tx_pps");
  };
  const double added_ns = metric(large, fwd + ".tx", "tx_latency_mean") - metric(small, fwd + ".tx", "tx_latency_mean");
  CHECK(added_ns == Approx(ring_ns(large, 2048) - ring_ns(small, 1024)).epsilon(0.05));
}

TEST_CASE("dropping is about as fast as was measured with DPDK on M1, without a price fitted to it", "[PM-2]") {
  // XP-31: 43.5 Mpps, 22.9 ns; the driver's prices are those of the kernel's, without what only the kernel does.
  const ReplicationResult result = run_replication(polled(1e8, {.pmd = ""}), {});
  CHECK(1e9 / metric(result, fwd, "delivered_pps") == Approx(22.9).epsilon(0.15));
}

TEST_CASE("the graph expects what a poll-mode CPU serves in overload", "[PM-2]") {
  for (const char* action : {"consume", "forward"}) {
    const Form form{.pmd = R"("action": ")" + std::string(action) + '"', .application = R"("service_ns": 100)"};
    const Scenario scenario = polled(2e7, form);
    const Topology expected = topology(scenario);
    CHECK(expected.predicted.component == "cpus.cpu0");
    const auto cpu = std::find_if(expected.stages.begin(), expected.stages.end(),
                                  [](const Stage& stage) { return stage.component == "cpus.cpu0"; });
    const ReplicationResult result = run_replication(scenario, {});
    CHECK(cpu->capacity_pps == Approx(1e3 * metric(result, fwd, "ipackets")).epsilon(0.05));
  }
}

TEST_CASE("what probe or start would be refused for is refused with the name of the error and a remedy",
          "[PM-5][PM-6]") {
  CHECK(refused({.nic = R"("driver": "veth")"}).find("pmds.fwd.nic: EOPNOTSUPP: veth has no poll-mode driver") !=
        std::string::npos);
  CHECK(refused({.pmd = R"("action": "forward", "mempool": 2000)"}).find("ENOMEM: 2000 mbufs do not fill") !=
        std::string::npos);
  CHECK(refused({.pmd = R"("mempool": 1056)"}).empty());
  CHECK(refused({.pmd = R"("mempool": 1055)"}).find("use at least 1056") != std::string::npos);
  CHECK(refused({.more = R"("xsks": {"a": {"nic": "nic0", "queue": "rx0", "cpu": "cpu1"}}, )"})
            .find("EBUSY: xsks.a has rx0 of nic0") != std::string::npos);
  CHECK(refused({.more = R"("policies": {"nic0": "drop"}, )"}).find("no queue of nic0 is left to the kernel") !=
        std::string::npos);
  CHECK(refused({.more = R"("events": {"e": {"at_ms": 0.1, "set": {"nics.nic0.rx_queues.rx0.cpu": "cpu1"}}}, )"})
            .find("it has no interrupt to move") != std::string::npos);
}

TEST_CASE("poll-mode drivers agree with the reference engine", "[couplings][PM-1][PM-2][PM-3][PM-4][PM-6]") {
  const std::string pauses = R"("service_ns": 30, "pauses": {"gc": {"at_ms": 0.3, "for_ms": 0.1, "every_ms": 0.35}})";
  const std::string changes = R"("events": {"stop": {"at_ms": 0.2, "set": {"pmds.fwd.application.paused": true}},
    "go": {"at_ms": 0.4, "set": {"pmds.fwd.application.paused": false}},
    "slow": {"at_ms": 0.5, "set": {"nics.nic0.link_gbps": 1}}, "down": {"at_ms": 0.8, "set": {"nics.nic0.link_up": false}}}, )";
  const std::string beside_kernel = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"})";
  const std::string on_one_cpu = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu0"})";
  const std::string socket = R"("sockets": {"app": {"port": 9, "cpu": "cpu0"}}, )";
  const std::vector<Form> forms = {
      {},
      {.pmd = ""},
      {.pmd = R"("burst": 1, "action": "forward")"},
      {.pmd = R"("burst": 4)", .application = pauses},
      {.application = R"("service_law": "exponential", "service_ns": 50)", .frame_bytes = 1518},
      {.nic = R"("driver": "ixgbe", "rx_ring": 256, "tx_ring": 64)", .more = changes},
      {.application = pauses, .queues = beside_kernel, .more = socket},
      {.application = R"("nice": 5)", .queues = on_one_cpu, .more = socket},
      {.queues = beside_kernel, .more = R"("policies": {"nic0": "tx"}, )" + changes},
  };
  for (std::size_t i = 0; i < forms.size(); ++i) {
    for (const double rate : {1e5, 6e6, 4e7}) {
      INFO("form " << i << " at " << rate);
      same_as_reference(polled(rate, forms[i]));
    }
  }
}

TEST_CASE("how far a polling CPU runs ahead never changes a result", "[engine]") {
  const Scenario scenario =
      polled(8e6, {.application = R"("service_ns": 20, "pauses": {"gc": {"at_ms": 0.3, "for_ms": 0.1}})",
                   .queues = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"})"});
  CHECK(independent_of_window(scenario));
  Host host(scenario, 0);
  host.run({});
  CHECK(violations(numbers_of(host)) == std::vector<std::string>{});
}
