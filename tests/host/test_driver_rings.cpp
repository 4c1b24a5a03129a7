// How drivers keep their rings filled: what differs between them shows in pages, polls and failures.
#include <catch2/catch.hpp>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

struct Form {
  std::string driver = "mlx5";
  std::string policy = "none";
  double rate_pps = 1e6;
  std::string socket = "";  ///< members of a socket on port 4000; empty: nobody listens
  std::string memory = R"("total_mib": 256)";
  std::string kernel = R"("rmem_max": 2147483647)";
  std::string queue = "";  ///< further members of rx0
};

ReplicationResult run(const Form& form) {
  const std::string socket =
      form.socket.empty() ? "" : R"("sockets": {"app": {"port": 4000, "cpu": "cpu1", )" + form.socket + "}},";
  const Scenario scenario = load_random(R"({"duration_ms": 20, "cpus": {"cpu0": {}, "cpu1": {}},
    "kernel": {)" + form.kernel + R"(}, "memory": {)" +
                                        form.memory + R"(}, "nics": {"nic0": {"driver": ")" + form.driver +
                                        R"(", "rx_queues": {"rx0": {"cpu": "cpu0")" + form.queue + R"(}}}},
    "policies": {"nic0": ")" + form.policy +
                                        "\"}, " + socket + R"("traffic": {"load": {"nic": "nic0", "kind": "poisson",
      "rate_pps": )" + std::to_string(form.rate_pps) +
                                        R"(, "sizes": 128, "flows": {"count": 100, "destination_ports": "4000"}}}})");
  return run_replication(scenario, {});
}

double rx0(const ReplicationResult& result, const std::string& name) {
  return metric(result, "nics.nic0.rx_queues.rx0", name);
}

/// A consumer that takes what memory there is within the first milliseconds.
const std::string taken_away =
    R"("total_mib": 256, "free_mib": 64, "kswapd": {"pages_per_ms": 0}, "background": {"hog": {"pages_per_ms": 20000, "blocking": false}})";
const std::string stalled = R"("rcvbuf": 1073741823, "reader": {"paused": true})";

}  // namespace

TEST_CASE("mlx5 lets a unit's pages go before it takes new ones, so that the cache does not overflow",
          "[DR-11][DR-13]") {
  const ReplicationResult result = run({.rate_pps = 2e6});
  CHECK(metric(result, "nics.nic0.rx_queues.rx0.page_pool", "recycle_cached") > 10'000);
  CHECK(metric(result, "nics.nic0.rx_queues.rx0.page_pool", "recycle_cache_full") == 0);
  // Everything came home through the cache: no slow allocation after the ring was filled.
  CHECK(metric(result, "nics.nic0.rx_queues.rx0.page_pool", "alloc_slow") <= 1024 / 2 / 64 + 2);
}

TEST_CASE("without memory mlx5 gives back what it took and polls again, the striding queue waits", "[DR-14][DR-17]") {
  const ReplicationResult legacy = run({.rate_pps = 2e6, .socket = stalled, .memory = taken_away});
  const ReplicationResult striding =
      run({.driver = "mlx5_striding", .rate_pps = 2e6, .socket = stalled, .memory = taken_away});
  CHECK(rx0(legacy, "buff_alloc_err") > 100);
  CHECK(rx0(striding, "buff_alloc_err") > 0);
  // Each failure of the one asks for the next poll at once; those of the other come with packets.
  CHECK(rx0(legacy, "polls") > 3 * rx0(legacy, "interrupts"));
  CHECK(rx0(striding, "polls") < 2 * rx0(striding, "interrupts") + 10);
}

TEST_CASE("i40e polls again after a failed refill, ixgbe waits for the next packet", "[DR-22][NA-13]") {
  const ReplicationResult again =
      run({.driver = "i40e", .rate_pps = 2e6, .socket = stalled, .memory = taken_away, .queue = R"(, "rx_ring": 128)"});
  const ReplicationResult waits = run(
      {.driver = "ixgbe", .rate_pps = 2e6, .socket = stalled, .memory = taken_away, .queue = R"(, "rx_ring": 128)"});
  CHECK(rx0(again, "rx_pg_alloc_fail") > 100);
  CHECK(rx0(waits, "alloc_rx_page_failed") > 0);
  CHECK(rx0(again, "polls") > 3 * rx0(again, "interrupts"));
  CHECK(rx0(waits, "polls") < 2 * rx0(waits, "interrupts") + 10);
}

TEST_CASE("a work entry of the striding queue is 64 pages, of two packets each or of one with XDP",
          "[DR-15][DR-16][DR-19]") {
  const ReplicationResult plain = run({.driver = "mlx5_striding"});
  const ReplicationResult xdp = run({.driver = "mlx5_striding", .policy = "drop"});
  CHECK(rx0(plain, "posted") == 1024 / 2);
  CHECK(rx0(xdp, "posted") == 1024);
}

TEST_CASE("a page is flipped while its other half is free, and replaced when a slow reader holds it",
          "[DR-20][DR-21]") {
  for (const std::string& driver : {std::string("ixgbe"), std::string("i40e"), std::string("mlx4")}) {
    INFO(driver);
    const ReplicationResult quick = run({.driver = driver});  // nobody listens: freed at once
    CHECK(rx0(quick, "page_reuse_count") > 10'000);
    CHECK(rx0(quick, "page_busy_count") == 0);
    const double first_fill = rx0(quick, "page_alloc_count");
    CHECK(first_fill == (driver == "mlx4" ? 1024 : 512));
    const ReplicationResult held = run({.driver = driver, .socket = stalled});
    // After one revolution of the ring both halves of every page are out.
    CHECK(rx0(held, "page_busy_count") > 1'000);
    CHECK(rx0(held, "page_alloc_count") - first_fill == Approx(rx0(held, "page_busy_count")).margin(64));
  }
}

TEST_CASE("mlx4 before 4.12 cuts buffers from blocks that go back with their last buffer", "[DR-24]") {
  const ReplicationResult old = run({.driver = "mlx4", .kernel = R"("release": "4.5")"});
  const ReplicationResult later = run({.driver = "mlx4", .kernel = R"("release": "4.17")"});
  // Blocks of order 3 hold 16 buffers of half a page; the later ring keeps the pages of its first fill.
  CHECK(rx0(old, "page_alloc_count") == Approx((1024 + rx0(old, "rx_packets")) / 16).margin(16));
  CHECK(rx0(later, "page_alloc_count") == 1024);
}

TEST_CASE("veth needs a page for each packet that passes, and drops it where there is none", "[DR-31][DR-32]") {
  const ReplicationResult fine = run({.driver = "veth", .policy = "pass", .rate_pps = 2e5});
  CHECK(rx0(fine, "skb_alloc_failed") == 0);
  const ReplicationResult without =
      run({.driver = "veth", .policy = "pass", .rate_pps = 2e6, .socket = stalled, .memory = taken_away});
  CHECK(rx0(without, "skb_alloc_failed") > 100);
  CHECK(static_cast<double>(place(without.packets, "dropped.skb_alloc_failed")) == rx0(without, "skb_alloc_failed"));
  // Its pool has no NAPI: returns go to the ring.
  CHECK(metric(fine, "nics.nic0.rx_queues.rx0.page_pool", "recycle_cached") == 0);
  CHECK(metric(fine, "nics.nic0.rx_queues.rx0.page_pool", "recycle_ring") > 1'000);
}

TEST_CASE("a veth sender does not schedule a NAPI that is being polled", "[DR-36]") {
  const ReplicationResult seldom = run({.driver = "veth", .policy = "pass", .rate_pps = 1e5});
  CHECK(rx0(seldom, "interrupts") > 1'000);
  const ReplicationResult always = run({.driver = "veth", .policy = "pass", .rate_pps = 1e7});
  CHECK(rx0(always, "polls") > 500);
  CHECK(rx0(always, "interrupts") < 20);
}
