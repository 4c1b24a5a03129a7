// A queue whose driver takes its ring down and opens a new one while the host runs, and the page_pool that stays
// behind.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/host/host.hpp"
#include "models/host/queue_restart.hpp"
#include "models/result.hpp"
#include "models/scenario/scenario.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"
#include "tests/host/same_as_reference.hpp"

using namespace rxpool;

namespace {

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string pool0 = rx0 + ".page_pool";

struct Form {
  std::string driver = "mlx5";
  std::string queue{};   ///< more keys of the queue
  std::string reader{};  ///< keys of the reader
  std::string events{};  ///< of the scenario
  std::string more{};    ///< top-level keys
  double rate_pps = 1e6;
  double duration_ms = 6;
};

std::string restart_at(double ms, const std::string& queue = "rx0", int ring = 256) {
  return R"({"at_ms": )" + std::to_string(ms) + R"(, "set": {"nics.nic0.rx_queues.)" + queue + R"(.rx_ring": )" +
         std::to_string(ring) + "}}";
}

std::string host(const Form& form) {
  return R"({"duration_ms": )" + std::to_string(form.duration_ms) + R"(, "cpus": {"cpu0": {}, "cpu1": {}},
    "kernel": {"rmem_max": 1073741823}, "memory": {"total_mib": 256}, )" +
         form.more + R"("nics": {"nic0": {"driver": ")" + form.driver + R"(", "rx_queues": {"rx0": {"cpu": "cpu0")" +
         form.queue + R"(}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu1", "rcvbuf": 67108864, "reader": {)" +
         form.reader + R"(}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
         std::to_string(form.rate_pps) + R"(, "sizes": 256, "flows": {"count": 20, "destination_ports": "4000"}}},
    "events": {)" +
         form.events + "}}";
}

}  // namespace

TEST_CASE("a queue that is restarted loses what is in its ring and goes on with a new one", "[DR-40]") {
  const auto driver = GENERATE(as<std::string>(), "mlx5", "mlx5_striding", "ice", "vmxnet3");
  const int ring = driver == "mlx5_striding" ? 1024 : 256;
  INFO(driver);
  // One CPU for everything: it is late, and the ring never empty.
  const Scenario scenario =
      load_random(host({.driver = driver, .events = R"("resize": )" + restart_at(3, "rx0", ring), .rate_pps = 5e6}));
  const ReplicationResult result = run_replication(scenario, {});
  const std::uint64_t lost = place(result.packets, "dropped.rx_queue_restart");
  CHECK(lost > 10);
  CHECK(lost <= 2048);  // the largest of the default rings
  CHECK(metric(result, rx0, "posted") > 0);
  CHECK(metric(result, rx0, "rx_fill") <= ring);
  CHECK(metric(result, "sockets.app", "UdpInDatagrams") > 1000);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a pending disable ends a poll that would be repeated for ever", "[NA-26]") {
  // 5 M packets/s to a CPU that takes a fifth of them: its NAPI never completes by itself.
  const Scenario without = load_random(host({.rate_pps = 5e6}));
  const Scenario with = load_random(host({.events = R"("resize": )" + restart_at(3), .rate_pps = 5e6}));
  CHECK(metric(run_replication(without, {}), rx0, "interrupts") < 30);
  const ReplicationResult result = run_replication(with, {});
  CHECK(place(result.packets, "dropped.rx_queue_restart") > 0);
  CHECK(metric(result, pool0, "detached_pools") == 1);
}

TEST_CASE("a pool whose pages are out is detached until the last one is home", "[PP-52][PP-54]") {
  // Some 2000 packets, two in each page, wait for a reader that pauses until 50 ms; the first retry comes a second
  // after the restart.
  Form form{.reader = R"("pauses": {"gc": {"at_ms": 0, "for_ms": 50, "every_ms": 5000}})",
            .events = R"("resize": )" + restart_at(20),
            .rate_pps = 100e3,
            .duration_ms = 40};
  const ReplicationResult before = run_replication(load_random(host(form)), {});
  CHECK(metric(before, pool0, "detached_pools") == 1);
  CHECK(metric(before, pool0, "detached_inflight") == Approx(1000).epsilon(0.1));
  CHECK(metric(before, rx0, "held_max") < 2500);
  form.duration_ms = 900;
  const ReplicationResult home = run_replication(load_random(host(form)), {});
  CHECK(metric(home, pool0, "detached_pools") == 1);
  CHECK(metric(home, pool0, "detached_inflight") > 0);  // those that found room in the detached pool's ring
  CHECK(place(home.pages, "pool_ring") > 0);
  form.duration_ms = 1100;
  const ReplicationResult gone = run_replication(load_random(host(form)), {});
  CHECK(metric(gone, pool0, "detached_pools") == 0);
  CHECK(metric(gone, pool0, "detached_inflight") == 0);
}

TEST_CASE("pages that an application lost keep their pool in the zone", "[PP-52]") {
  Form form{.events = R"("resize": )" + restart_at(200),
            .more = R"("faults": {"leaks": {"app": {"share": 0.01}}}, )",
            .rate_pps = 20e3,
            .duration_ms = 1500};
  const Scenario scenario = load_random(host(form));
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, pool0, "detached_pools") == 1);
  CHECK(metric(result, pool0, "detached_inflight") == Approx(40).margin(20));
  CHECK(static_cast<double>(place(result.pages, "leaked")) > metric(result, pool0, "detached_inflight"));
  same_as_reference(scenario);
}

TEST_CASE("a queue's counters are those of all its pools, gone ones included", "[DR-40][PP-50]") {
  // The reader pauses: pages of the old pools come home after 30 ms, and one retry is after the end of the run.
  const double duration_ms = GENERATE(25., 40., 1100.);
  const Scenario scenario =
      load_random(host({.reader = R"("pauses": {"gc": {"at_ms": 0, "for_ms": 30, "every_ms": 5000}})",
                        .events = R"("first": )" + restart_at(10) + R"(, "second": )" + restart_at(20, "rx0", 64),
                        .rate_pps = 100e3,
                        .duration_ms = duration_ms}));
  Host made(scenario, 0);
  const ReplicationResult result = made.run({});
  made.pools().for_each([](PagePool& pool) { CHECK_NOTHROW(pool.verify()); });
  const HostQueue& queue = made.nics()[0]->queues[0];
  CHECK(detached(made, queue).pools == (duration_ms > 1000 ? 0 : 2));
  const double out = queue.pool->inflight() + static_cast<double>(detached(made, queue).inflight);
  CHECK(metric(result, pool0, "page_pool_state_hold") - metric(result, pool0, "page_pool_state_release") == out);
  same_as_reference(scenario);
}

TEST_CASE("a queue restarted twice has two pools behind it", "[PP-52]") {
  const Scenario scenario =
      load_random(host({.reader = R"("paused": true)",
                        .events = R"("first": )" + restart_at(2) + R"(, "second": )" + restart_at(4, "rx0", 64),
                        .rate_pps = 300e3}));
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, pool0, "detached_pools") == 2);
  CHECK(metric(result, pool0, "detached_inflight") == Approx(600).epsilon(0.2));
  same_as_reference(scenario);
}

TEST_CASE("a restart that comes while another waits for the poll to end comes after it", "[NA-26][DR-40]") {
  // Busy all the time, so that the first one finds the NAPI scheduled; the second comes within its 20 us.
  for (const double later_ms : {2.001, 2.005, 2.0199, 2.0201}) {
    INFO(later_ms);
    const Scenario scenario = load_random(
        host({.events = R"("first": )" + restart_at(2) + R"(, "second": )" + restart_at(later_ms, "rx0", 64),
              .rate_pps = 5e6}));
    CHECK(metric(run_replication(scenario, {}), "nics.nic0.rx_queues.rx0", "rx_packets") > 1000);
    same_as_reference(scenario);
  }
}

TEST_CASE("the control loop watches the pool that a queue has", "[CT-1]") {
  const auto limit = GENERATE(as<std::string>(), "none", "soft", "absolute");
  const std::string control = R"("control": {"period_us": 50, "signal": {"period_us": 50},
    "detectors": {"main": {"kind": "ewma", "time_constant_ms": 0.1}, "counted": {"kind": "jiffies_counter"}},
    "working_set": "main", "breaker": {"threshold": "pages", "pages": 400, "reference_rtt_ms": 0.2},
    "pool": {"returns": "watermark", "limit": ")" +
                              limit + R"("}}, )";
  const Scenario scenario = load_random(host({.reader = R"("service_ns": 2000)",
                                              .events = R"("resize": )" + restart_at(3),
                                              .more = control,
                                              .rate_pps = 5e6}));
  CHECK(place(run_replication(scenario, {}).packets, "dropped.rx_queue_restart") > 0);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("a packet that waits for its transfer finds the new ring", "[DR-40]") {
  // PCIe takes 900 ns per packet, so that packets wait in the NIC's buffer at the restart.
  const Scenario scenario = load_random(
      R"({"duration_ms": 3, "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}}, "memory": {"total_mib": 256},
    "nics": {"nic0": {"driver": "mlx5", "buffer_kib": 64, "pcie": {"packet_ns": 900},
                      "rx_queues": {"rx0": {"cpu": "cpu0", "rx_ring": 64}, "rx1": {"cpu": "cpu1", "rx_ring": 64}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu2", "rcvbuf": 1048576}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 2e6, "sizes": 128,
                         "flows": {"count": 50, "destination_ports": "4000"}}},
    "events": {"a": )" +
      restart_at(1, "rx0", 128) + R"(, "b": )" + restart_at(1.5, "rx1", 64) + R"(, "c": )" +
      restart_at(1.500013, "rx0", 64) + "}}");
  CHECK(place(run_replication(scenario, {}).packets, "dropped.rx_discards_phy") > 0);
  same_as_reference(scenario);
  CHECK(independent_of_window(scenario));
}

TEST_CASE("random hosts whose queues are restarted agree with the reference engine", "[DR-40][NA-26]") {
  int restarted = 0;
  for (std::uint64_t seed = 1; seed <= 120; ++seed) {
    nlohmann::ordered_json made = nlohmann::ordered_json::parse(random_scenario(seed, {.duration_ms = 1}));
    if (made.contains("xsks")) continue;
    int number = 0;
    const nlohmann::ordered_json nics = made["nics"];
    for (const auto& [name, nic] : nics.items()) {
      const std::string driver = nic["driver"];
      if (driver != "mlx5" && driver != "mlx5_striding" && driver != "ice" && driver != "vmxnet3") continue;
      for (const auto& [queue, params] : nic["rx_queues"].items()) {
        const int ring = driver == "mlx5_striding" ? 512 : seed % 2 == 0 ? 128 : 64;
        made["events"]["restart" + std::to_string(number)] = {
            {"at_ms", 0.3 + 0.07 * number}, {"set", {{"nics." + name + ".rx_queues." + queue + ".rx_ring", ring}}}};
        ++number;
      }
    }
    if (number == 0) continue;
    ++restarted;
    INFO("seed " << seed);
    const Scenario scenario = load_random(made.dump());
    const Agreement agreement = compare_with_reference(scenario);
    CHECK(agreement.differences == std::vector<std::string>{});
  }
  CHECK(restarted > 30);
}

TEST_CASE("a restart is refused where the driver or the queue cannot do it, with the reason") {
  CHECK(refusal([] {
          load_random(host({.driver = "ixgbe", .events = R"("e": )" + restart_at(1)}));
        }).find("only rings of mlx5, mlx5_striding, ice and vmxnet3 can be restarted") != std::string::npos);
  CHECK(refusal([] { load_random(host({.events = R"("e": )" + restart_at(1, "rx0", 100000)})); }).find("rx_ring") !=
        std::string::npos);
  const std::string xsk = R"("policies": {"nic0": "xsk_def_prog"},
    "xsks": {"user": {"nic": "nic0", "queue": "rx0", "cpu": "cpu1"}}, )";
  CHECK(refusal([&] {
          load_random(host({.events = R"("e": )" + restart_at(1), .more = xsk}));
        }).find("xsks.user is bound to that queue") != std::string::npos);
}
