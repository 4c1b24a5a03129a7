// From the ring to a socket and home: how packets are shared out, what a socket holds, which way a page comes back.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

struct Form {
  std::string nic = "";     ///< further members of the NIC
  std::string kernel = "";  ///< members of the kernel
  std::string reader = "\"paused\": true";
  int frame_bytes = 64;
  std::string driver = "mlx5";
};

/// One queue on cpu0, its reader on cpu1.
ReplicationResult run(const Form& form) {
  const Scenario scenario =
      load_random(R"({"duration_ms": 10, "cpus": {"cpu0": {}, "cpu1": {}}, "kernel": {)" + form.kernel +
                  R"(}, "nics": {"nic0": {"driver": ")" + form.driver + "\", " + form.nic +
                  R"("rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu1", "reader": {)" +
                  form.reader + R"(}}},
    "traffic": {"load": {"nic": "nic0", "kind": "constant", "rate_pps": 200000, "sizes": )" +
                  std::to_string(form.frame_bytes) + R"(, "flows": {"count": 10, "destination_ports": "4000"}}}})");
  return run_replication(scenario, {});
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string pool = rx0 + ".page_pool";

}  // namespace

TEST_CASE("what a receive buffer holds depends on the buffers, not on the packets", "[SK-2][SK-4]") {
  for (const int frame_bytes : {64, 512, 1518}) {
    INFO(frame_bytes << " bytes");
    const ReplicationResult result = run({.frame_bytes = frame_bytes});
    CHECK(place(result.packets, "in_flight.sockets.app") == 212992 / 2304);
    CHECK(metric(result, "sockets.app", "UdpInDatagrams") == 0);
  }
}

TEST_CASE("a packet that waits in a socket keeps its page from the pool", "[SK-5][SK-33]") {
  const ReplicationResult stalled = run({});
  // Two packets a page, in the order in which they came.
  CHECK(metric(stalled, rx0, "held_max") >= 212992 / 2304 / 2);
  CHECK(place(stalled.pages, "socket") >= 212992 / 2304 / 2);
  const ReplicationResult read = run({.reader = ""});
  CHECK(place(read.pages, "socket") <= 2);
  CHECK(metric(read, pool, "recycle_cached") + metric(read, pool, "recycle_ring") > 800);
}

TEST_CASE("a page that another CPU frees comes home by way of its own, unless that way is closed or has no owner",
          "[SK-41][SK-43][SK-44]") {
  // vmxnet3 lets a page go with its packet, so that the reader is the last to hold it.
  const ReplicationResult deferred = run({.reader = "", .driver = "vmxnet3"});
  const ReplicationResult closed = run({.kernel = "\"skb_defer_max\": 0", .reader = "", .driver = "vmxnet3"});
  const ReplicationResult threaded = run({.nic = R"("napi_threaded": true, )", .reader = "", .driver = "vmxnet3"});
  // What an IPI finds while the NAPI is not scheduled has no owner either (PP-21), hence not zero.
  CHECK(metric(deferred, pool, "recycle_ring") < 0.1 * metric(closed, pool, "recycle_ring"));
  CHECK(metric(threaded, pool, "recycle_ring") > 5 * metric(deferred, pool, "recycle_ring"));
  CHECK(metric(deferred, "stack", "skb_deferred") > 1'000);
  CHECK(metric(closed, "stack", "skb_deferred") == 0);
  CHECK(metric(threaded, "stack", "skb_deferred") > 1'000);
}

TEST_CASE("weights share the indirection table out in runs", "[RS-12]") {
  const Scenario scenario = load_random(R"({"duration_ms": 5, "cpus": {"cpu0": {}},
    "nics": {"nic0": {"rss": {"indirection": {"rx0": 3, "rx1": 1}, "indirection_size": 128},
                      "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu0"}, "rx2": {"cpu": "cpu0"}}}},
    "policies": {"nic0": "drop"},
    "traffic": {"load": {"nic": "nic0", "kind": "constant", "rate_pps": 2000000, "flows": {"count": 20000}}}})");
  const ReplicationResult result = run_replication(scenario, {});
  const auto packets = [&](const char* queue) {
    return metric(result, std::string("nics.nic0.rx_queues.") + queue, "rx_packets");
  };
  CHECK(packets("rx2") == 0);
  CHECK(packets("rx0") / packets("rx1") == Approx(3).epsilon(0.06));
}
