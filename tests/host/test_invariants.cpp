// What has to hold in every run (reference §8), on random scenarios; and that each check notices when it does not.
#include <catch2/catch.hpp>

#include <functional>
#include <utility>

#include "models/host/ledgers.hpp"
#include "models/host/report.hpp"
#include "sim/error.hpp"
#include "tests/host/invariants.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

/// A busy host with a pool, a socket that drops, a full ring, several CPUs.
const char* const busy = R"({
  "duration_ms": 2,
  "cpus": {"cpu0": {}, "cpu1": {}},
  "nics": {"nic0": {"driver": "mlx5", "rx_ring": 128, "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
  "sockets": {"app": {"port": 4000, "cpu": "cpu1", "rcvbuf": 65536, "reader": {"service_ns": 3000}}},
  "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 3000000, "sizes": 128,
                       "flows": {"count": 10, "destination_ports": "4000"}}}})";

/// Redirected to another CPU, faster than that takes; sent back; and to an application that stalls.
const char* const to_another_cpu = R"({
  "duration_ms": 2,
  "cpus": {"cpu0": {}, "cpu1": {}},
  "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
  "policies": {"nic0": {"program": "redirect", "params": {"cpu": "cpu1"}}},
  "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 8000000, "flows": {"count": 10}}}})";

const char* const sent_back = R"({
  "duration_ms": 2,
  "cpus": {"cpu0": {}},
  "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
  "policies": {"nic0": "tx"},
  "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 8000000, "flows": {"count": 10}}}})";

const char* const to_user_space = R"({
  "duration_ms": 2,
  "cpus": {"cpu0": {}, "cpu1": {}},
  "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
  "policies": {"nic0": "xsk_def_prog"},
  "xsks": {"app": {"nic": "nic0", "queue": "rx0", "cpu": "cpu1", "application": {"service_ns": 500}}},
  "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 4000000, "flows": {"count": 10}}}})";

Numbers run_of(const char* text) {
  const Scenario scenario = load_random(text);
  Host host(scenario, 0);
  host.run({});
  return numbers_of(host);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

using Faults = std::vector<std::pair<const char*, std::function<void(Numbers&)>>>;

/// Each fault, in the numbers of a right run, has to be found by the check that it names.
void check_found(const Numbers& right, const Faults& faults) {
  REQUIRE(joined(violations(right)) == "");
  for (const auto& [name, falsify] : faults) {
    Numbers wrong = right;
    falsify(wrong);
    const std::string found = "\n" + joined(violations(wrong));
    INFO(name << " in" << found);
    CHECK(found.find(std::string("\n") + name) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("the invariants hold in random scenarios", "[invariants]") {
  for (std::uint64_t seed = 1001; seed <= 1030; ++seed) {
    Scenario scenario = load_random(random_scenario(seed, {.duration_ms = 1}));
    // A third of them send back on the first NIC.
    if (seed % 3 == 0) scenario.policies.at("nic0").program = "tx";
    Host host(scenario, 0);
    host.run({});
    INFO("seed " << seed);
    CHECK(joined(violations(numbers_of(host))) == "");
    host.allocator().verify();  // 1 and 6: per-CPU lists, buddy lists, tags and counts
    for (const auto& nic : host.nics()) {
      for (const HostQueue& queue : nic->queues) {
        if (queue.pool != nullptr) queue.pool->verify();
      }
    }
  }
}

TEST_CASE("the levels that a run reports end at the pool's own numbers", "[PP-50][PP-51]") {
  const Scenario scenario = load_random(busy);
  Host host(scenario, 0);
  host.run({});
  for (const auto& nic : host.nics()) {
    for (const HostQueue& queue : nic->queues) {
      const Gauge& inflight = queue.queue->inflight();
      const Gauge& held = queue.queue->held();
      CHECK(inflight.level() == queue.pool->inflight());
      CHECK(held.level() == queue.queue->buffers().held());
      CHECK(inflight.max() >= held.max());
      CHECK(inflight.level() > 0);
    }
  }
}

TEST_CASE("every invariant notices a wrong number", "[invariants]") {
  const Faults of_a_socket = {
      {"2 hold", [](Numbers& n) { ++n.pools[0].hold; }},
      {"2 inflight by places", [](Numbers& n) { ++n.pools[0].posted; }},
      {"2 inflight by places", [](Numbers& n) { --n.pools[0].held; }},
      {"2 inflight by places", [](Numbers& n) { ++n.pools[0].ring; }},
      {"2 never negative", [](Numbers& n) { n.pools[0].inflight = -1; }},
      {"3 cache size", [](Numbers& n) { n.pools[0].cache = 129; }},
      {"4 pages per slow call", [](Numbers& n) { n.pools[0].slow = 0; }},
      {"4 allocations have a source",
       [](Numbers& n) {
         n.pools[0].cached = 0;
         n.pools[0].refill = 0;
         n.pools[0].fast = 1u << 30;
       }},
      {"4 a page that is held", [](Numbers& n) { n.pools[0].fast = n.pools[0].refill = 0; }},
      {"12 tracepoints", [](Numbers& n) { ++n.pools[0].state_hold_events; }},
      {"12 tracepoints", [](Numbers& n) { ++n.pools[0].state_release_events; }},
      {"13 ring_full", [](Numbers& n) { n.pools[0].ring_full = static_cast<std::uint64_t>(n.pools[0].release) + 1; }},
      {"8 work per poll", [](Numbers& n) { n.cpus[0].poll_work = 64 * n.cpus[0].polls + 1; }},
      {"8 work per pass", [](Numbers& n) { n.cpus[0].net_rx_action = 0; }},
      {"8 packets per poll", [](Numbers& n) { n.nics[0].queues[0].polls = 1; }},
      {"9 verdicts", [](Numbers& n) { n.nics[0].queues[0].xdp_drop = n.nics[0].queues[0].seen + 1; }},
      {"ring", [](Numbers& n) { ++n.nics[0].queues[0].ring_fill; }},
      {"9 packets of the NICs", [](Numbers& n) { ++n.nics[0].arrived; }},
      {"9 packets of the NICs", [](Numbers& n) { ++n.nics[0].discards; }},
      {"9 packets of the NICs", [](Numbers& n) { ++n.nics[0].out_of_buffer; }},
      {"9 packets of the NICs", [](Numbers& n) { ++n.steering_drops; }},
      {"9 packets of the NICs", [](Numbers& n) { ++n.nics[0].waiting; }},
      {"10 frames of the TX rings", [](Numbers& n) { ++n.frames_left; }},
      {"9 packets of the stack", [](Numbers& n) { ++n.delivered; }},
      {"9 packets of the stack", [](Numbers& n) { ++n.stack_drops; }},
      {"9 skbs", [](Numbers& n) { ++n.skbs_live; }},
  };
  check_found(run_of(busy), of_a_socket);
  const Faults of_a_cpumap = {
      {"9 frames on their way to CPUs", [](Numbers& n) { ++n.redirected_to_cpus; }},
      {"9 frames on their way to CPUs", [](Numbers& n) { --n.to_cpus; }},
      {"9 frames of the cpumaps", [](Numbers& n) { ++n.cpumap_processed; }},
      {"9 frames of the cpumaps", [](Numbers& n) { --n.cpumap_ends; }},
      {"9 frames of the cpumaps", [](Numbers& n) { --n.cpumap_taken; }},
      {"9 packets of the stack", [](Numbers& n) { ++n.to_stack; }},
      {"9 packets of the stack", [](Numbers& n) { ++n.in_stack; }},
      {"9 skbs", [](Numbers& n) { --n.skbs_queued; }},
  };
  check_found(run_of(to_another_cpu), of_a_cpumap);
  const Faults of_a_tx_ring = {
      {"10 frames of the TX rings", [](Numbers& n) { --n.frames_out; }},
      {"10 frames of the TX rings", [](Numbers& n) { ++n.frames_flying; }},
  };
  check_found(run_of(sent_back), of_a_tx_ring);
  const Faults of_an_xsk = {
      {"9 packets of the AF_XDP sockets", [](Numbers& n) { --n.to_xsks; }},
      {"9 packets of the AF_XDP sockets", [](Numbers& n) { ++n.xsk_ends; }},
      {"10 frames of the TX rings", [](Numbers& n) { --n.frames_left; }},
  };
  check_found(run_of(to_user_space), of_an_xsk);
}

TEST_CASE("a ledger in which one place is wrong by one does not close", "[ledger]") {
  const Scenario scenario = load_random(busy);
  Host host(scenario, 0);
  const ReplicationResult result = host.run({});
  CHECK_NOTHROW(check_closed("packet", result.packets));
  CHECK_NOTHROW(check_closed("page", result.pages));
  for (const Ledger& ledger : {result.packets, result.pages}) {
    for (const auto& [place, count] : ledger.places) {
      INFO(place);
      Ledger counted_twice = ledger;
      ++counted_twice.places[place];
      CHECK_THROWS_AS(check_closed("test", counted_twice), BugError);
      Ledger lost = ledger;
      --lost.places[place];
      CHECK_THROWS_AS(check_closed("test", lost), BugError);
    }
  }
}

TEST_CASE("a page that nobody counts, and a packet that ends twice, fail the run", "[ledger]") {
  const Scenario scenario = load_random(busy);
  Host host(scenario, 0);
  host.run({});
  CHECK_NOTHROW(page_ledger(host));
  CHECK_NOTHROW(packet_ledger(host));

  MemoryContext context;
  context.in_softirq = true;
  const PageId leaked = host.allocator().alloc_pages(context, gfp::atomic, 0);
  REQUIRE(leaked != no_page);
  CHECK_THROWS_AS(page_ledger(host), BugError);
  host.allocator().put_page(context, leaked);
  CHECK_NOTHROW(page_ledger(host));

  host.journal().ended(Packet{}, Fate::delivered, Time{0});
  CHECK_THROWS_AS(packet_ledger(host), BugError);
}

TEST_CASE("a packet that ends a second time fails the run, whatever its end", "[ledger]") {
  const Scenario scenario = load_random(busy);
  for (std::size_t i = 0; i < fate_names.size(); ++i) {
    const auto fate = static_cast<Fate>(i);
    if (fate == Fate::rx_out_of_buffer) continue;  // the NIC counts it: ++out_of_buffer above
    Host host(scenario, 0);
    host.run({});
    host.journal().ended(Packet{}, fate, Time{0});
    INFO(fate_names[i]);
    CHECK_THROWS_AS(packet_ledger(host), BugError);
  }
}
