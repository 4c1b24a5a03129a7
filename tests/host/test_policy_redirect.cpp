// eBPF policies that send packets on: bpf_redirect, bpf_redirect_map over devmaps, broadcast, programs of devmap
// entries, XDP_TX with another length. The policy is redirect.bpf.c beside this file; it marks every packet.
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

struct Sending {
  std::string params = R"("way": 0)";  ///< knobs of the policy
  std::string maps;                    ///< their content
  std::string cpus = R"("cpu0": {})";
  std::string queues = R"("rx0": {"cpu": "cpu0"})";  ///< of nic0
  std::string target = R"("driver": "mlx5")";        ///< members of nic1
  std::string target_policy = "pass";
  double rate_pps = 1e6;
  int frame_bytes = 200;
};

/// nic0 (ifindex 2) runs the policy; nic1 (3) and nic2 (4) can be sent to.
Scenario scenario_of(const Sending& s) {
  return load_random(R"({"duration_ms": 2, "cpus": {)" + s.cpus + R"(},
    "nics": {"nic0": {"driver": "ixgbe", "rx_queues": {)" +
                     s.queues + R"(}},
             "nic1": {)" +
                     s.target + R"(, "rx_queues": {"rx0": {"cpu": "cpu0"}}},
             "nic2": {"driver": "ixgbe", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "policies": {"nic0": {"program": ")" +
                     std::string(RXPOOL_HOST_TEST_OBJECTS) + R"(/redirect.bpf.o", "params": {)" + s.params +
                     R"(}, "maps": {)" + s.maps + R"(}}, "nic1": ")" + s.target_policy + R"(", "nic2": "pass"},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                     std::to_string(s.rate_pps) + R"(, "sizes": )" + std::to_string(s.frame_bytes) +
                     R"(, "flows": {"count": 100}}}})");
}

ReplicationResult run(const Sending& sending) {
  return run_replication(scenario_of(sending), {});
}

std::string refused(const Sending& sending) {
  return refusal([&] {
    const Scenario scenario = scenario_of(sending);
    const Host host(scenario, 0);
  });
}

std::string entry(const std::string& map, const std::string& key, const std::string& value) {
  return '"' + map + R"(": {"entries": {")" + key + R"(": ")" + value + R"("}})";
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string to_nic0 = "nics.nic0.tx_queues.xdp0";
const std::string to_nic1 = "nics.nic1.tx_queues.xdp0";
const std::string to_nic2 = "nics.nic2.tx_queues.xdp0";

double sent_bytes_each(const ReplicationResult& result, const std::string& queue) {
  return metric(result, queue, "tx_bytes") / metric(result, queue, "tx_packets");
}

}  // namespace

TEST_CASE("bpf_redirect and both kinds of devmap send to the device that they name", "[XD-15][XD-23]") {
  for (const Sending& sending :
       {Sending{R"("way": 0, "key": 4)", entry("by_key", "4", "nic1")},
        Sending{R"("way": 1, "key": 70000)", entry("by_hash", "70000", "3")}, Sending{R"("way": 2, "key": 3)", ""}}) {
    INFO(sending.params);
    const ReplicationResult result = run(sending);
    CHECK(place(result.packets, "transmitted") > 1500);
    CHECK(metric(result, rx0, "xdp_redirect") == metric(result, rx0, "rx_packets"));
    CHECK(metric(result, rx0, "xdp_redirect_err") == 0);
    CHECK(metric(result, to_nic1, "tx_xdp_xmit") == metric(result, rx0, "xdp_devmap_xmit_sent"));
    CHECK(sent_bytes_each(result, to_nic1) == 200);
    for (const std::string& warning : result.warnings) {
      INFO(warning);
      // Nothing but the prices: their era, NICs that nobody fitted them to.
      CHECK((warning.rfind("costs are those of", 0) == 0 || warning.rfind("uncalibrated:", 0) == 0));
    }
  }
}

TEST_CASE("without an entry the low bits of the flags are the verdict", "[XD-15]") {
  const ReplicationResult pass = run({R"("way": 0, "key": 5, "flags": 2)", entry("by_key", "4", "nic1")});
  CHECK(metric(pass, rx0, "xdp_pass") == metric(pass, rx0, "rx_packets"));
  const ReplicationResult none = run({R"("way": 1, "key": 5)", entry("by_hash", "4", "nic1")});
  CHECK(metric(none, rx0, "xdp_aborted") == metric(none, rx0, "rx_packets"));
}

TEST_CASE("a queue without an AF_XDP socket: the low bits of the flags are the verdict", "[XD-41]") {
  const ReplicationResult pass = run({R"("way": 5, "flags": 2)", ""});
  CHECK(metric(pass, rx0, "xdp_pass") == metric(pass, rx0, "rx_packets"));
  const ReplicationResult none = run({R"("way": 5)", ""});
  CHECK(metric(none, rx0, "xdp_aborted") == metric(none, rx0, "rx_packets"));
  CHECK(place(none.packets, "dropped.xdp_aborted") > 1500);
  CHECK(refused({R"("way": 5)", entry("sockets", "0", "xsk0")}).find("EOPNOTSUPP: \"xsk0\" is no AF_XDP socket") !=
        std::string::npos);
}

TEST_CASE("xdp_do_redirect refuses a verdict without a target and a device that does not exist", "[XD-15]") {
  for (const char* params : {R"("way": 3)", R"("way": 2, "key": 77)"}) {
    INFO(params);
    const ReplicationResult result = run({params, entry("by_key", "0", "nic1")});
    CHECK(place(result.packets, "dropped.xdp_redirect_err") > 1500);
    CHECK(metric(result, rx0, "xdp_redirect_err") == metric(result, rx0, "rx_packets"));
    CHECK(metric(result, rx0, "xdp_redirect") == 0);
  }
}

TEST_CASE("a broadcast sends a copy to every entry and the packet itself to the last", "[XD-24]") {
  const std::string three = R"("by_hash": {"entries": {"0": "nic0", "1": "nic1", "2": "nic2"}})";
  const ReplicationResult all = run({R"("way": 1, "flags": 8)", three});
  const double received = metric(all, rx0, "rx_packets");
  CHECK(metric(all, rx0, "xdp_redirect") == received);
  for (const std::string& queue : {to_nic0, to_nic1, to_nic2}) CHECK(metric(all, queue, "tx_xdp_xmit") == received);
  CHECK(static_cast<double>(place(all.packets, "transmitted")) <= received);
  CHECK(place(all.packets, "transmitted") > 1500);

  const ReplicationResult others = run({R"("way": 1, "flags": 24)", three});  // and BPF_F_EXCLUDE_INGRESS
  CHECK(metric(others, to_nic0, "tx_xdp_xmit") == 0);
  // The end may come between two flushes: frames of the last target still wait, copies for the first as many.
  const auto waiting = static_cast<double>(place(others.packets, "in_flight." + rx0 + ".bulk_queue"));
  CHECK(metric(others, to_nic1, "tx_xdp_xmit") + waiting == metric(others, rx0, "rx_packets"));
  CHECK(metric(others, to_nic2, "tx_xdp_xmit") + waiting == metric(others, rx0, "rx_packets"));
}

TEST_CASE("a broadcast to nobody is a success without a packet", "[XD-24]") {
  const ReplicationResult result = run({R"("way": 0, "flags": 24)", entry("by_key", "3", "nic0")});
  CHECK(place(result.packets, "dropped.xdp_devmap_empty") > 1500);
  CHECK(metric(result, rx0, "xdp_redirect") == metric(result, rx0, "rx_packets"));
}

TEST_CASE("the program of a devmap entry sees what the first one wrote, and decides", "[XD-25]") {
  const ReplicationResult kept = run({R"("way": 0, "longer": 1)", entry("by_key", "0", "nic1,bpf_prog=marked_only")});
  CHECK(metric(kept, rx0, "xdp_devmap_xmit_drops") == 0);
  CHECK(metric(kept, to_nic1, "tx_packets") > 1500);
  CHECK(sent_bytes_each(kept, to_nic1) == 220);

  const ReplicationResult half = run({R"("way": 0)", entry("by_key", "0", "nic1,bpf_prog=even_only")});
  const double dropped = metric(half, rx0, "xdp_devmap_xmit_drops");
  CHECK(dropped == Approx(metric(half, rx0, "xdp_redirect") / 2).margin(20));
  CHECK(static_cast<double>(place(half.packets, "dropped.xdp_devmap_xmit")) == dropped);

  const ReplicationResult shorter = run({R"("way": 0)", entry("by_key", "0", "nic1,bpf_prog=shorten")});
  CHECK(sent_bytes_each(shorter, to_nic1) == 100);

  const ReplicationResult odd = run({R"("way": 0)", entry("by_key", "0", "nic1,bpf_prog=back")});
  CHECK(metric(odd, rx0, "xdp_devmap_xmit_drops") > 1500);
  CHECK(metric(odd, rx0, "xdp_exception") == metric(odd, rx0, "xdp_devmap_xmit_drops"));
}

TEST_CASE("XDP_TX sends the packet with the length that the program gave it", "[XD-10]") {
  const ReplicationResult result = run({R"("way": 4, "longer": 1)", ""});
  CHECK(place(result.packets, "transmitted") > 1500);
  CHECK(sent_bytes_each(result, rx0 + ".xdp_tx") == 220);
}

TEST_CASE("the shipped load balancer wraps what is for its address and sends it back out", "[XD-10]") {
  // Port 80 in network order.
  const ReplicationResult result = run_replication(load_random(R"({"duration_ms": 2, "cpus": {"cpu0": {}},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "policies": {"nic0": {"program": "load_balancer", "params": {"backends_used": 2}, "maps": {
      "vips": {"entries": {"address=198.19.0.1,port=20480,protocol=17": 1}},
      "backends": {"entries": {"0": "address=10.9.0.1,source=10.9.0.254", "1": "address=10.9.0.2,source=10.9.0.254"}}}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 1000000, "sizes": 200,
                         "flows": {"count": 100, "destination_ports": "80"}}}})"),
                                                   {});
  CHECK(metric(result, rx0, "xdp_tx_xmit") == metric(result, rx0, "rx_packets"));
  CHECK(place(result.packets, "transmitted") > 1500);
  CHECK(sent_bytes_each(result, rx0 + ".xdp_tx") == 220);
}

TEST_CASE("an entry of a devmap that the kernel would refuse is refused with its error", "[XD-23][XD-51]") {
  CHECK(
      refused({R"("way": 0)", entry("by_key", "0", "nic7")})
          .find(
              "policies.nic0.maps.by_key.entries.0: EINVAL: no NIC \"nic7\"; there are nic0 (2), nic1 (3), nic2 (4)") !=
      std::string::npos);
  CHECK(refused({R"("way": 0)", entry("by_key", "0", "nic1,bpf_prog=redirect")})
            .find("EINVAL: \"redirect\" is no program of section xdp/devmap; the object has") != std::string::npos);
  CHECK(refused({R"("way": 0)", entry("without_program", "0", "nic1,bpf_prog=back")})
            .find("EINVAL: the values of this map have 4 bytes") != std::string::npos);
  Sending old{R"("way": 0)", entry("by_key", "0", "nic1")};
  old.target = R"("driver": "mlx4")";
  CHECK(refused(old).find("policies.nic0.maps: nic1: EOPNOTSUPP: mlx4 has no ndo_xdp_xmit") != std::string::npos);
  Sending bare{R"("way": 0)", entry("by_key", "0", "nic1")};
  bare.target_policy = "none";
  CHECK(refused(bare).find("policies.nic0.maps: nic1: ENXIO: mlx5 has transmit queues for redirects only while") !=
        std::string::npos);
  // bpf_redirect names its device at run time: refused then.
  Sending late{R"("way": 2, "key": 3)", ""};
  late.target = R"("driver": "mlx4")";
  const ReplicationResult refused = run(late);
  CHECK(metric(refused, rx0, "xdp_redirect_err") == metric(refused, rx0, "rx_packets"));
}

TEST_CASE("what a policy sends does not depend on how far its CPU runs ahead", "[couplings][XD-24][XD-25]") {
  Sending sending{R"("way": 0, "flags": 24)",
                  R"("by_key": {"entries": {"0": "nic1,bpf_prog=even_only", "1": "nic2,bpf_prog=shorten"}})"};
  sending.cpus = R"("cpu0": {}, "cpu1": {})";
  sending.queues = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"})";
  sending.target = R"("driver": "ixgbe", "link_gbps": 1)";
  sending.rate_pps = 3e6;
  CHECK(independent_of_window(scenario_of(sending)));
}

TEST_CASE("a cpumap's program does not learn the queue that a packet came from", "[XD-37]") {
  Sending sending;
  sending.params = R"("way": 6, "key": 1)";
  sending.maps = R"("cpus": {"entries": {"cpu1": "192,bpf_prog=without_queue"}})";
  sending.cpus = R"("cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"})";
  sending.queues = R"("rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu0"})";
  const ReplicationResult result = run(sending);
  // redirect() sends on what it saw on another queue than the first, and drops the rest.
  const double handed_on = metric(result, "nics.nic0.rx_queues.rx1", "xdp_redirect");
  CHECK(handed_on > 500);
  CHECK(metric(result, "nics.nic0.rx_queues.rx0", "xdp_redirect") == 0);
  CHECK(metric(result, "policies.nic0.cpus.cpu1", "xdp_cpumap_kthread_xdp_pass") > 0.9 * handed_on);
  CHECK(metric(result, "policies.nic0.cpus.cpu1", "xdp_cpumap_kthread_xdp_drop") == 0);
}
