// TCP through a host: what arrives depends on what the host acknowledged, and still comes out the same however the
// work is cut.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

struct TcpHost {
  std::string traffic = R"({"nic": "nic0", "kind": "tcp", "path": {"rtt_us": 200}})";
  std::string reader = "{}";
  std::string more;
  double duration_ms = 10;
  std::string driver = "mlx5";
  std::string kernel = "{}";

  std::string text() const {
    return R"({"duration_ms": )" + std::to_string(duration_ms) + R"(, "kernel": )" + kernel +
           R"(, "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}}, "memory": {"total_mib": 2048},
      "nics": {"nic0": {"driver": ")" +
           driver + R"(", "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1"}}}},
      "sockets": {"service": {"protocol": "tcp", "port": 9, "cpu": "cpu2", "reader": )" +
           reader + R"(}}, )" + more + R"("traffic": {"tcp": )" + traffic + "}}";
  }
  Scenario scenario() const { return load_random(text()); }
};

void same_in_reference(const Scenario& scenario) {
  CHECK(compare_with_reference(scenario).differences == std::vector<std::string>{});
}

void same_with_any_window(const Scenario& scenario) {
  std::uint64_t first = 0;
  for (const Time window : {microseconds(1), microseconds(50), milliseconds(1)}) {
    Host host(scenario, 0);
    host.engine().set_window(window);
    const std::uint64_t fingerprint = host.run({}).fingerprint;
    if (first == 0) first = fingerprint;
    CHECK(fingerprint == first);
  }
}

}  // namespace

TEST_CASE("a transfer is read whole and takes the round trips of slow start", "[TC-4][TC-20]") {
  TcpHost host;
  host.traffic = R"({"nic": "nic0", "kind": "tcp", "transfer_kib": 100, "congestion_control": "reno",
                     "path": {"rtt_us": 1000, "queue_kib": 1000}})";
  const ReplicationResult result = run_replication(host.scenario(), {});
  const double segments = std::ceil(100 * 1024 / 1460.0);
  CHECK(metric(result, "traffic.tcp", "tcp_delivered") == segments);
  CHECK(metric(result, "traffic.tcp", "TcpRetransSegs") == 0);
  CHECK(static_cast<double>(place(result.packets, "delivered")) == segments);
  // 10 + 20 + 40 segments, and the rest: four round trips and what the host needs.
  CHECK(metric(result, "traffic.tcp", "transfer_time_max") > 4e6);
  CHECK(metric(result, "traffic.tcp", "transfer_time_max") < 4.6e6);
}

TEST_CASE("a TCP flow takes what its reader can read, and no more is lost than the window costs", "[TC-33][TC-34]") {
  TcpHost host;
  host.reader = R"({"rate_pps": 50000})";
  host.duration_ms = 100;
  const ReplicationResult result = run_replication(host.scenario(), {});
  CHECK(metric(result, "sockets.service", "delivered_pps") == Approx(50000).epsilon(0.05));
  CHECK(metric(result, "sockets.service", "TCPRcvQDrop") == 0);
  CHECK(metric(result, "traffic.tcp", "TCPTimeouts") == 0);
}

TEST_CASE("the receive buffer grows with a fast reader and bounds a paused one", "[TC-31][TC-34]") {
  TcpHost host;
  host.traffic = R"({"nic": "nic0", "kind": "tcp", "path": {"rtt_us": 2000, "rate_gbps": 10}})";
  host.duration_ms = 60;
  const ReplicationResult fast = run_replication(host.scenario(), {});
  // 131072 bytes at first would bound it to 30 segments per round trip.
  CHECK(metric(fast, "sockets.service", "delivered_pps") > 4 * 30 / 2e-3);
  host.reader = R"({"paused": true})";
  const ReplicationResult paused = run_replication(host.scenario(), {});
  CHECK(metric(paused, "sockets.service", "rmem_alloc_max") < 131072 + 2 * 4352);
  CHECK(metric(paused, "sockets.service", "rmem_alloc_max") > 65536);
}

TEST_CASE("an acknowledgement is paid by the CPU that received or read what it is for", "[TC-36]") {
  TcpHost host;
  host.more = R"("record": {"per_step": true}, )";
  const ReplicationResult result = run_replication(host.scenario(), {});
  const auto paid = [&](const char* step) { return metric(result, step, "step_time"); };
  const double received = paid("cpus.cpu0.steps.softirq.tcp_ack") + paid("cpus.cpu1.steps.softirq.tcp_ack");
  const double read = paid("cpus.cpu2.steps.application.tcp_ack");
  CHECK(received > 0);
  CHECK(read > 0);
  const double acks = metric(result, "sockets.service", "tcp_acks");
  REQUIRE(acks > 100);
  CHECK(std::fmod(received + read, acks) == 0);  // all of them, at one price
  CHECK(paid("cpus.cpu0.steps.application.tcp_ack") + paid("cpus.cpu2.steps.softirq.tcp_ack") == 0);
}

TEST_CASE("tcp_mem bounds all connections together", "[TC-35]") {
  TcpHost host;
  host.traffic = R"({"nic": "nic0", "kind": "tcp", "flows": 200, "path": {"rtt_us": 200}})";
  host.reader = R"({"paused": true})";
  host.kernel = R"({"tcp_mem_pages": 300})";
  const ReplicationResult result = run_replication(host.scenario(), {});
  CHECK(metric(result, "sockets.service", "proto_mem") > 0);
  CHECK(metric(result, "sockets.service", "rmem_alloc_max") < 400 * 4096);
}

TEST_CASE("an acknowledgement changes arrivals a round trip later and not earlier", "[TC-4]") {
  for (
      const char* traffic :
      {R"({"nic": "nic0", "kind": "tcp", "flows": 8, "path": {"rtt_us": 20, "rate_gbps": 40}})",
       R"({"nic": "nic0", "kind": "tcp", "flows": 3, "congestion_control": "bbr", "path": {"rtt_us": 300, "rate_gbps": 2}})",
       R"({"nic": "nic0", "kind": "tcp", "flows": 20, "congestion_control": "dctcp", "transfer_kib": 64, "every_ms": 2,
            "path": {"rtt_us": 50, "rate_gbps": 10, "ecn_threshold_kib": 30}})",
       R"({"nic": "nic0", "kind": "tcp", "flows": 4, "congestion_control": "reno", "path": {"rtt_us": 100, "loss": 0.01}})"}) {
    for (const char* reader : {"{}", R"({"service_ns": 3000, "batch": 8})", R"({"rate_pps": 100000})"}) {
      for (const char* driver : {"mlx5", "ixgbe"}) {
        TcpHost host;
        host.traffic = traffic;
        host.reader = reader;
        host.driver = driver;
        host.duration_ms = 3;
        INFO(host.text());
        same_in_reference(host.scenario());
        same_with_any_window(host.scenario());
      }
    }
  }
}

TEST_CASE("connections that all begin later than a round trip wait for the host from the start", "[TC-4]") {
  TcpHost host;
  host.traffic = R"({"nic": "nic0", "kind": "tcp", "flows": {"count": 2}, "spread_ms": 10, "path": {"rtt_us": 200}})";
  for (int seed = 1; seed <= 8; ++seed) {
    host.more = R"("seed": )" + std::to_string(seed) + ", ";
    INFO(seed);
    CHECK(metric(run_replication(host.scenario(), {}), "sockets.service", "goodput") > 0);
    same_in_reference(host.scenario());
  }
}

TEST_CASE("TCP beside a flood, a breaker and a changing reader is the same in both engines", "[TC-4][CT-36]") {
  TcpHost host;
  host.duration_ms = 6;
  host.traffic = R"({"nic": "nic0", "kind": "tcp", "flows": 4, "path": {"rtt_us": 100}},
    "flood": {"nic": "nic0", "kind": "flood", "rate_pps": 2000000, "flows": {"destination_ports": "4000"}})";
  host.more =
      R"("control": {"breaker": {"threshold": "pages", "pages": 60, "reference_rtt_ms": 0.5, "probe_one_in": 3}},
    "events": {"stop": {"at_ms": 2, "set": {"sockets.service.reader.paused": true}},
               "go": {"at_ms": 4, "set": {"sockets.service.reader.paused": false}}}, )";
  same_in_reference(host.scenario());
  same_with_any_window(host.scenario());
}

TEST_CASE("segments of a TCP source without a socket are lost to a closed port", "[TC-30]") {
  TcpHost host;
  host.traffic = R"({"nic": "nic0", "kind": "tcp", "flows": {"count": 2, "destination_ports": "10"}})";
  const ReplicationResult result = run_replication(host.scenario(), {});
  CHECK(metric(result, "stack", "no_socket") == 20);
  CHECK(metric(result, "traffic.tcp", "tcp_delivered") == 0);
}
