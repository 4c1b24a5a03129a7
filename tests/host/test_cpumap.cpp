// XDP_REDIRECT to CPUs: rings, bulks, threads on remote CPUs, drops by the RX CPU, the way home of the pages.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/invariants.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"
#include "tests/host/same_as_reference.hpp"

using namespace rxpool;

namespace {

struct Chain {
  std::string cpus = R"("cpu0": {}, "cpu1": {})";
  std::string nic = R"("driver": "mlx5")";
  std::string queues = R"("rx0": {"cpu": "cpu0"})";
  std::string redirect = R"("cpu": "cpu1", "qsize": 192)";
  std::string more = "";     ///< further members of the scenario
  std::string scaling = "";  ///< members of the agent
};

Scenario chain(double rate_pps, const Chain& chain = {}) {
  return load_random(R"({"duration_ms": 2, "cpus": {)" + chain.cpus + R"(},
    "nics": {"nic0": {)" +
                     chain.nic + R"(, "rx_queues": {)" + chain.queues + R"(}}},
    "policies": {"nic0": {"program": "redirect", "params": {)" +
                     chain.redirect + R"(}, "scaling": {)" + chain.scaling + R"(}}},)" + chain.more + R"(
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                     std::to_string(rate_pps) + R"(, "flows": {"count": 100, "destination_ports": "4000-4001"}}}})");
}

std::string refused(const std::string& redirect) {
  return refusal([&] { chain(1e5, {.redirect = redirect}); });
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string entry1 = "policies.nic0.cpu_map.cpu1";
const std::string reader = R"("sockets": {"app": {"port": 4000, "cpu": "cpu1", "reader": {"service_ns": 300}}},)";

}  // namespace

TEST_CASE("a remote CPU that is fast enough takes every packet to the stack", "[XD-31][XD-33]") {
  const Chain awake{.cpus = R"("cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"})"};
  const ReplicationResult result = run_replication(chain(1e6, awake), {});
  CHECK(place(result.packets, "dropped.no_socket") > 1900);
  CHECK(place(result.packets, "dropped.xdp_cpumap_enqueue") == 0);
  CHECK(metric(result, rx0, "xdp_redirect") == metric(result, rx0, "rx_packets"));
  CHECK(metric(result, entry1, "xdp_cpumap_enqueue_processed") == metric(result, rx0, "xdp_redirect"));
  CHECK(metric(result, "cpus.cpu1", "busy_kthread") > 10);
  CHECK(metric(result, "cpus.cpu0", "busy_kthread") == 0);
}

TEST_CASE("a full ring is dropped by the RX CPU and counted among the processed", "[XD-31][XD-36]") {
  const ReplicationResult result = run_replication(chain(9e6), {});
  const double drops = metric(result, entry1, "xdp_cpumap_enqueue_drops");
  CHECK(drops > 5000);
  CHECK(static_cast<double>(place(result.packets, "dropped.xdp_cpumap_enqueue")) == drops);
  CHECK(metric(result, entry1, "xdp_cpumap_enqueue_processed") >
        metric(result, entry1, "xdp_cpumap_kthread_processed") + drops - 1);
  // Bulks and batches are full.
  CHECK(metric(result, entry1, "xdp_cpumap_enqueue_processed") / metric(result, entry1, "xdp_cpumap_enqueue") > 7.5);
  CHECK(metric(result, entry1, "xdp_cpumap_kthread_processed") / metric(result, entry1, "xdp_cpumap_kthread") ==
        Approx(8).epsilon(0.01));
  // What the thread took came home over the pool's ring; what was dropped, directly.
  const std::string pool = rx0 + ".page_pool";
  CHECK(metric(result, pool, "recycle_ring") >= metric(result, entry1, "xdp_cpumap_kthread_processed") - 200);
  CHECK(metric(result, rx0, "rx_packets") - metric(result, rx0, "xdp_redirect") == 0);
}

TEST_CASE("a bulk that fills up does not wake the thread, the end of the poll does", "[XD-32]") {
  // A burst of 32 packets in one poll: four bulks, one wake-up.
  const Chain burst{.nic = R"("driver": "mlx5", "adaptive_rx": false, "rx_usecs": 100, "rx_frames": 0)"};
  const ReplicationResult result = run_replication(chain(3e5, burst), {});
  const double polls = metric(result, rx0, "polls");
  CHECK(metric(result, entry1, "xdp_cpumap_enqueue") > 1.5 * polls);
  CHECK(metric(result, entry1, "xdp_cpumap_kthread_sched") <= polls);
}

TEST_CASE("the program of an entry runs on the remote CPU", "[XD-33]") {
  // CPUs that do not sleep deeply: in 2 ms the frames that wait for a wake-up of 92 us would be many of all.
  const std::string awake = R"("cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"})";
  const ReplicationResult dropped =
      run_replication(chain(1e6, {.cpus = awake, .redirect = R"("cpu": "cpu1", "remote_action": "drop")"}), {});
  CHECK(place(dropped.packets, "dropped.xdp_cpumap_drop") > 1900);
  CHECK(metric(dropped, entry1, "xdp_cpumap_kthread_xdp_drop") ==
        metric(dropped, entry1, "xdp_cpumap_kthread_processed"));
  const ReplicationResult passed =
      run_replication(chain(1e6, {.cpus = awake, .redirect = R"("cpu": "cpu1", "remote_action": "pass")"}), {});
  CHECK(place(passed.packets, "dropped.no_socket") > 1900);
  CHECK(metric(passed, entry1, "xdp_cpumap_kthread_xdp_pass") > 1900);
}

TEST_CASE("pages that a remote CPU drops come home over the ring", "[PP-33]") {
  const ReplicationResult result =
      run_replication(chain(1e6, {.cpus = R"("cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"})",
                                  .nic = R"("driver": "ice")",
                                  .redirect = R"("cpu": "cpu1", "remote_action": "drop")"}),
                      {});
  CHECK(metric(result, rx0 + ".page_pool", "recycle_ring") > 1900);
  CHECK(metric(result, rx0 + ".page_pool", "recycle_cached") == 0);
}

TEST_CASE("a redirect to CPUs that the kernel would refuse is refused with its name and a remedy", "[XD-30]") {
  CHECK(refused(R"("cpu": "cpu7")").find("policies.nic0.params.cpu: ENODEV: no CPU \"cpu7\"") != std::string::npos);
  CHECK(
      refused(R"("cpu": "cpu1", "qsize": 20000)").find("EOVERFLOW: the queue of a cpumap entry holds at most 16384") !=
      std::string::npos);
  CHECK(refused(R"("cpu": "cpu1", "qsize": 0)").find("use 1 … 16384 frames") != std::string::npos);
  CHECK(refused(R"("cpu": "cpu1,cpu1")").find("named twice") != std::string::npos);
  CHECK(refused(R"("cpu": "cpu1", "to": "nic0")").find("given beside cpu") != std::string::npos);
  CHECK(refused(R"("cpu": "cpu1", "program_mode": "l3")").find("use l4-hash, round-robin") != std::string::npos);
  CHECK(refused(R"("cpu": "cpu1", "size": 3)").find("a redirect to CPUs takes cpu, qsize") != std::string::npos);
}

TEST_CASE("redirecting to a CPU agrees with the reference engine", "[couplings][XD-31][XD-32][XD-33]") {
  for (const char* driver : {"mlx5", "mlx5_striding", "ixgbe", "ice", "virtio_net", "vmxnet3", "veth"}) {
    for (const double rate : {3e5, 3e6, 1.2e7}) {
      INFO(driver << " at " << rate);
      same_as_reference(chain(rate, {.nic = std::string(R"("driver": ")") + driver + '"', .more = reader}));
    }
  }
}

TEST_CASE("every form of a cpumap agrees with the reference engine", "[couplings][XD-31][XD-34][XD-35]") {
  const std::string three = R"("cpu0": {}, "cpu1": {}, "cpu2": {})";
  const std::string old_kernel = R"("kernel": {"release": "6.1"},)";
  const std::string little_memory =
      R"("memory": {"total_mib": 256, "free_mib": 24, "background": {"leak": {"pages_per_ms": 2000}}},)";
  const std::vector<Chain> chains = {
      {.redirect = R"("cpu": "cpu1", "qsize": 5)", .more = reader},
      {.redirect = R"("cpu": "cpu1", "qsize": 8192)", .more = reader},
      {.redirect = R"("cpu": "cpu1", "remote_action": "drop")"},
      {.redirect = R"("cpu": "cpu1", "remote_action": "pass")", .more = old_kernel},
      {.redirect = R"("cpu": "cpu0")", .more = reader},
      {.cpus = three, .redirect = R"("cpu": "cpu1,cpu2", "program_mode": "round-robin")", .more = reader},
      {.cpus = three,
       .queues = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"})",
       .redirect = R"("cpu": "cpu1,cpu2", "qsize": 64)",
       .more = reader},
      {.queues = R"("rx0": {"cpu": "cpu0", "napi_threaded": true}, "rx1": {"cpu": "cpu0"})", .more = reader},
      {.redirect = R"("cpu": "cpu1", "remote_action": "drop")", .more = little_memory},
      {.nic = R"("driver": "ice")", .redirect = R"("cpu": "cpu1", "qsize": 4096)", .more = little_memory + reader},
  };
  for (std::size_t i = 0; i < chains.size(); ++i) {
    for (const double rate : {1e6, 9e6}) {
      INFO("form " << i << " at " << rate);
      same_as_reference(chain(rate, chains[i]));
    }
  }
}

TEST_CASE("an agent takes CPUs until none is overloaded, and rests those that the load does not need",
          "[CT-60][CT-62]") {
  // Light sleepers first: what the queues lose while a CPU wakes from a deep state would look like overload.
  Chain four{.cpus = R"("idle_states": "c1", "cpu0": {}, "cpu1": {}, "cpu2": {}, "cpu3": {}, "cpu4": {})",
             .redirect = R"("cpu": "cpu1,cpu2,cpu3,cpu4", "qsize": 192)",
             .scaling = R"("period_ms": 0.05, "start": 1)"};
  const ReplicationResult busy = run_replication(chain(6e6, four), {});
  CHECK(metric(busy, "policies.nic0.cpu_map", "cpus_in_use_max") >= 2);
  CHECK(metric(busy, "policies.nic0.cpu_map", "cpus_in_use_mean") < 3);
  four.cpus = R"("cpu0": {}, "cpu1": {}, "cpu2": {}, "cpu3": {}, "cpu4": {})";
  four.scaling = R"("period_ms": 0.05, "start": 4)";
  const ReplicationResult idle = run_replication(chain(5e5, four), {});
  CHECK(metric(idle, "policies.nic0.cpu_map", "cpus_in_use_max") == 4);
  CHECK(metric(idle, "policies.nic0.cpu_map", "cpus_in_use_mean") < 3);
  const double residency = metric(idle, "cpus.cpu4.idle.DEEP", "idle_residency") +
                           metric(idle, "cpus.cpu4.idle.C1", "idle_residency") +
                           metric(idle, "cpus.cpu4.idle.POLL", "idle_residency");
  CHECK(residency + metric(idle, "cpus.cpu4", "busy") == Approx(100).epsilon(0.01));
}

TEST_CASE("an agent that scales agrees with the reference engine", "[couplings][CT-60][CT-61][CT-62]") {
  Chain three{.cpus = R"("cpu0": {}, "cpu1": {}, "cpu2": {}, "cpu3": {})",
              .queues = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"})",
              .more = reader,
              .scaling = R"("period_ms": 0.03, "patience": 2, "high": 0.8, "low": 0.6)"};
  for (const char* mode : {"l4-hash", "round-robin"}) {
    three.redirect = std::string(R"("cpu": "cpu2,cpu3,cpu1", "qsize": 128, "program_mode": ")") + mode + '"';
    for (const double rate : {2e5, 2e6, 6e6}) {
      INFO(mode << " at " << rate);
      same_as_reference(chain(rate, three));
    }
  }
}

TEST_CASE("fewer queues find more packets per interrupt", "[NA-50][XD-31]") {
  const auto per_interrupt = [](const std::string& queues, int count) {
    const ReplicationResult result = run_replication(
        chain(3e6, {.cpus = R"("cpu0": {}, "cpu1": {}, "cpu2": {})", .queues = queues, .redirect = R"("cpu": "cpu2")"}),
        {});
    double interrupts = 0;
    for (int i = 0; i < count; ++i)
      interrupts += metric(result, "nics.nic0.rx_queues.rx" + std::to_string(i), "interrupts");
    return metric(result, "nics.nic0", "rx_packets_phy") / interrupts;
  };
  const double one = per_interrupt(R"("rx0": {"cpu": "cpu0"})", 1);
  const double four = per_interrupt(
      R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu0"}, "rx2": {"cpu": "cpu1"}, "rx3": {"cpu": "cpu1"})", 4);
  CHECK(one > 1.2 * four);
}

TEST_CASE("how far CPUs of a cpumap run ahead never changes a result", "[engine]") {
  const Scenario scenario = chain(9e6, {.cpus = R"("cpu0": {}, "cpu1": {}, "cpu2": {})",
                                        .queues = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"})",
                                        .redirect = R"("cpu": "cpu1,cpu2")",
                                        .more = reader});
  std::uint64_t first = 0;
  for (const Time window : {microseconds(1), microseconds(50), milliseconds(1)}) {
    Host host(scenario, 0);
    host.engine().set_window(window);
    const std::uint64_t fingerprint = host.run({}).fingerprint;
    if (first == 0) first = fingerprint;
    CHECK(fingerprint == first);
    CHECK(violations(numbers_of(host)) == std::vector<std::string>{});
  }
}
