// One line per mistake: file, dotted place, what is wrong, what to do. The messages are compared whole.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/scenario/scenario_fixture.hpp"

using namespace rxpool;

namespace {

struct Mistake {
  std::string path;   ///< set to `value` in the rich scenario
  std::string value;  ///< JSON
  std::string message;
};

const std::vector<Mistake>& mistakes() {
  static const std::vector<Mistake> all = {
      // keys
      {"nics.nic0.rx_rign", "5", "nics.nic0.rx_rign: unknown key; did you mean \"rx_ring\"?"},
      {"memory.kswapd.speed", "5",
       "memory.kswapd.speed: unknown key; remove it, known are wake_latency_us, pages_per_ms"},
      {"faults.leak", "1", "faults.leak: unknown key; did you mean \"leaks\"?"},
      // types
      {"nics.nic0.rx_ring", "\"big\"", "nics.nic0.rx_ring: \"big\" must be a number, 1 … 8192 packets"},
      {"nics.nic0.rx_ring", "true", "nics.nic0.rx_ring: true must be a number, 1 … 8192 packets"},
      {"nics.nic0.rx_ring", "1.5", "nics.nic0.rx_ring: 1.5 must be a whole number, 1 … 8192 packets"},
      {"nics.nic0.gro", "1", "nics.nic0.gro: 1 must be true or false"},
      {"sockets.app.cpu", "1", "sockets.app.cpu: 1 must be a text; put it in quotation marks"},
      {"kernel", "[]", "kernel: a list stands where an object belongs; write { … }"},
      {"nics", "[]", "nics: a list must be an object keyed by name: {\"name\": { … }}"},
      {"nics.nic0.driver", "\"mlx6\"",
       "nics.nic0.driver: \"mlx6\" is not one of mlx5, mlx5_striding, ixgbe, i40e, ice, mlx4, virtio_net, vmxnet3, "
       "veth; "
       "did you mean \"mlx5\"?"},
      {"kernel.hz", "500", "kernel.hz: 500 is not one of 100, 250, 300, 1000 (numbers)"},
      {"kernel.release", "6.18",
       "kernel.release: 6.18 is not one of 4.5, 4.17, 4.19, 5.1, 5.4, 5.8, 5.10, 5.15, 6.1, 6.6, 6.12, 6.18 (in "
       "quotation "
       "marks)"},
      {"policies.nic0.params.list", "[1]", "policies.nic0.params.list: a list must be a number, a text, true or false"},
      // ranges
      {"nics.nic0.rx_ring", "0", "nics.nic0.rx_ring: 0 is out of range; use 1 … 8192 packets"},
      {"sockets.app.port", "65536", "sockets.app.port: 65536 is out of range; use 1 … 65535"},
      {"sockets.app.reader.nice", "-21", "sockets.app.reader.nice: -21 is out of range; use -20 … 19"},
      {"replications", "100001", "replications: 100001 is out of range; use 1 … 100000"},
      {"seed", "-1", "seed: -1 is out of range; use 0 … 18446744073709551615"},
      {"duration_ms", "0", "duration_ms: must be above 0 ms"},
      {"duration_ms", "5e9", "duration_ms: 5000000000.0 overflows simulated time; use 0 … 4600000000 ms"},
      {"record.every_us", "1e300", "record.every_us: 1e+300 overflows simulated time; use 0 … 4600000000000 us"},
      {"record.every_us", "0.5", "record.every_us: is above 0 but below 1 us; use 0 or at least 1 us"},
      {"sockets.app.reader.rate_pps", "1e-9",
       "sockets.app.reader.rate_pps: is above 0 but below 0.001 packets/s; use 0 or at least 0.001 packets/s"},
      {"sockets.app.reader.pauses.gc.for_ms", "0", "sockets.app.reader.pauses.gc.for_ms: must be above 0 ms"},
      {"sockets.app.reader.pauses.gc.every_ms", "0.5",
       "sockets.app.reader.pauses.gc.every_ms: is shorter than for_ms: it would never read again"},
      {"memory.background.cache.pages_per_ms", "1e-300",
       "memory.background.cache.pages_per_ms: is above 0 but below 0.000001 pages/ms; use 0 or at least 0.000001 "
       "pages/ms"},
      // names and defaults on the parent
      {"nics.eth-0", "{}",
       "nics.eth-0: \"eth-0\" is no name; use 1 … 64 letters, digits and _, since names are parts of dotted paths"},
      {"nics.rss", "{}",
       "nics.rss: is a parameter, not a name: on the parent only plain values are defaults; set it in each child"},
      {"nics.rx_rings", "5",
       "nics.rx_rings: is neither a child (an object) nor the default of a parameter; did you mean \"rx_ring\"?"},
      {"nics.nic1", "null", "nics.nic1: is neither a child (an object) nor the default of a parameter; remove it"},
      // references
      {"nics.nic0.rx_queues.rx0.cpu", "\"cpu9\"", "nics.nic0.rx_queues.rx0.cpu: no CPU \"cpu9\"; known: cpu0, cpu1"},
      {"nics.nic0.rx_queues.rx2", "{}",
       "nics.nic0.rx_queues.rx2.cpu: missing; a queue needs a CPU for its interrupt, known: cpu0, cpu1"},
      {"nics.nic0.rx_queues.rx1.thread_cpu", "\"cpu2\"",
       "nics.nic0.rx_queues.rx1.thread_cpu: no CPU \"cpu2\"; known: cpu0, cpu1"},
      {"nics.nic0.ntuple.dns.queue", "\"rx7\"", "nics.nic0.ntuple.dns.queue: no RX queue \"rx7\"; known: rx0, rx1"},
      {"nics.nic0.rss.indirection.rx9", "1", "nics.nic0.rss.indirection.rx9: no RX queue \"rx9\"; known: rx0, rx1"},
      {"sockets.app.cpu", "\"cpu8\"", "sockets.app.cpu: no CPU \"cpu8\"; known: cpu0, cpu1"},
      {"traffic.f_flood.nic", "\"nic1\"", "traffic.f_flood.nic: no NIC \"nic1\"; known: nic0"},
      {"traffic.new", "{\"kind\": \"poisson\", \"rate_pps\": 1}", "traffic.new.nic: missing; name a NIC, known: nic0"},
      {"policies.nic7", "\"drop\"", "policies.nic7: no NIC \"nic7\"; known: nic0"},
      {"cpus.cpu0.node", "1", "cpus.cpu0.node: no NUMA node 1; memory.nodes is 1, they count from 0"},
      {"sockets.other", "{\"port\": 4000, \"cpu\": \"cpu0\"}", "sockets.other.port: port 4000 is taken by sockets.app"},
      {"sockets.other", "{\"cpu\": \"cpu0\"}", "sockets.other.port: missing; give the local port, 1 … 65535"},
      // impossible hosts
      {"cpus", "{}", "cpus: missing; a host has at least one CPU: {\"cpu0\": {}}"},
      {"nics", "{}", "nics: missing; a host has at least one NIC"},
      {"nics.nic0.rx_queues", "{}",
       "nics.nic0.rx_queues: missing; a NIC has at least one: {\"rx0\": {\"cpu\": \"cpu0\"}}"},
      {"memory.free_mib", "5000", "memory.free_mib: exceeds memory.total_mib, 4096 MiB"},
      {"kernel.percpu_pagelist_high_fraction", "7",
       "kernel.percpu_pagelist_high_fraction: is below 8; use 0 or at least 8"},
      // rings
      {"nics.nic0.rx_ring", "1000", "nics.nic0.rx_ring: 1000 is no power of two as mlx5 needs; use 512 or 1024"},
      {"nics.nic0.rx_queues.rx0.rx_ring", "2",
       "nics.nic0.rx_queues.rx0.rx_ring: 2 is out of mlx5's range; use 4 … 8192 packets"},
      {"nics.nic0.rss.key", "\"6d5a\"",
       "nics.nic0.rss.key: must be 40 … 52 bytes in hexadecimal (80 … 104 digits), has 4 digits"},
      {"nics.nic0.rss.indirection_size", "100", "nics.nic0.rss.indirection_size: 100 is no power of two; use 128"},
      {"nics.nic0.ntuple.dns.src", "\"198.18.0.1/16\"",
       "nics.nic0.ntuple.dns.src: \"198.18.0.1/16\" is no address or prefix without bits behind its length; write for "
       "example 198.18.0.0/16"},
      {"nics.nic0.ntuple.dns.action", "\"drop\"",
       "nics.nic0.ntuple.dns.queue: given beside action drop; remove one of them"},
      {"nics.nic0.ntuple.dns.protocol", "\"any\"",
       "nics.nic0.ntuple.dns.protocol: is any, but the rule names a port; write tcp or udp"},
      // traffic
      {"traffic.b_poisson.incast_senders", "4", "traffic.b_poisson.incast_senders: only for kind incast; remove it"},
      {"traffic.f_flood.file", "\"x.pcap\"", "traffic.f_flood.file: only for kind pcap; remove it"},
      {"traffic.a_constant.rate_pps", "5", "traffic.a_constant.rate_gbps: given beside rate_pps; keep one of them"},
      {"traffic.b_poisson.rate_pps", "0",
       "traffic.b_poisson.rate_pps: missing or below 0.001 packets/s; give rate_pps or rate_gbps"},
      {"traffic.b_poisson.sizes.weights", "{\"abc\": 1}",
       "traffic.b_poisson.sizes.weights: \"abc\" is no frame length; use 64 … 9234 bytes"},
      {"traffic.c_mmpp.states", "{}", "traffic.c_mmpp.states: 0 states; give 2 … 64"},
      {"traffic.d_on_off.flows.source_ports", "\"9-5\"",
       "traffic.d_on_off.flows.source_ports: \"9-5\" is no port range; write \"first-last\" or \"port\", 0 … 65535"},
      {"traffic.a_constant.schedule.again", "{\"at_ms\": 1}",
       "traffic.a_constant.schedule: two changes at the same time; keep one of them"},
  };
  return all;
}

/// The rich scenario with one value changed in the text itself, so that the file is named.
std::string changed(const Mistake& mistake) {
  auto document = nlohmann::json::parse(rich_scenario);
  std::string pointer = "/" + mistake.path;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  document[nlohmann::json::json_pointer(pointer)] = nlohmann::json::parse(mistake.value);
  return document.dump();
}

}  // namespace

TEST_CASE("the rich and the small scenario load") {
  CHECK(refusal(rich_scenario) == "");
  CHECK(refusal(small_scenario) == "");
}

TEST_CASE("each mistake in a scenario gives one line with file, place and remedy") {
  for (const Mistake& mistake : mistakes()) {
    INFO(mistake.path << " = " << mistake.value);
    CHECK(refusal(changed(mistake)) == "test.json: " + mistake.message);
  }
}

TEST_CASE("the same mistake made by an override names the override") {
  CHECK(refusal(small_scenario, {{"nics.nic0.rx_ring", "1000"}}) ==
        "override nics.nic0.rx_ring=1000: 1000 is no power of two as mlx5 needs; use 512 or 1024");
  CHECK(refusal(small_scenario, {{"nics.nic1", "{\"rx_queues\": {\"rx0\": {}}}"}}) ==
        "override nics.nic1={\"rx_queues\": {\"rx0\": {}}}: nics.nic1.rx_queues.rx0.cpu: missing; a queue needs a CPU "
        "for "
        "its interrupt, known: cpu0, cpu1");
  CHECK(refusal(small_scenario, {{"seed.x", "1"}}) ==
        "test.json: seed: an object must be a number, 0 … 18446744073709551615");
  CHECK(refusal(small_scenario, {{"", "1"}}).find("is no path") != std::string::npos);
  CHECK(refusal(small_scenario, {{"nics..rx_ring", "1"}}).find("is no path") != std::string::npos);
  CHECK(refusal(small_scenario, {{"sockets.app.port.x", "1"}}) ==
        "test.json: sockets.app.port: is a plain value and has nothing inside; set sockets.app.port itself");
  CHECK(refusal(small_scenario, {{"seed", "{\"a\": 1, \"a\": 2}"}}) ==
        "override seed: a: duplicate key; keep one of them");
}

TEST_CASE("an override reaches values, makes what is missing and takes bare text") {
  const Scenario s = load_text(small_scenario, {{"duration_ms", "7"},
                                                {"policies.nic0", "drop"},
                                                {"nics.nic0.rx_queues.rx1.cpu", "cpu1"},
                                                {"kernel.release", "\"5.8\""}});
  CHECK(s.duration_ms == 7);
  CHECK(s.policies.at("nic0").program == "drop");
  CHECK(s.nics.at("nic0").rx_queues.at("rx1").cpu == "cpu1");
  CHECK(s.kernel.release == KernelRelease{5, 8});
}

TEST_CASE("an override inside a short form opens it up") {
  const Scenario s = load_text(small_scenario, {{"policies.nic0", "pass"}, {"policies.nic0.params.port", "53"}});
  CHECK(s.policies.at("nic0").program == "pass");
  CHECK(std::get<double>(s.policies.at("nic0").params.at("port")) == 53);
}

TEST_CASE("what is no object at the top is refused") {
  CHECK(refusal("[]") == "test.json: a list is no scenario; write one object, { … }");
  CHECK(refusal("3") == "test.json: 3 is no scenario; write one object, { … }");
}

TEST_CASE("no mutation of a scenario's text does anything but load or be refused in one line") {
  std::uint64_t state = 12345;
  const auto next = [&state](std::size_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % n;
  };
  const std::string pieces[] = {"{",     "}",    "[",    "]",       ",",    ":",   "\"", "-1",
                                "1e400", "null", "true", "\\u0000", "\xc3", "0.5", "{}"};
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = rich_scenario;
    for (std::size_t edits = 1 + next(3); edits > 0; --edits) {
      const std::size_t at = next(text.size());
      const std::string& piece = pieces[next(std::size(pieces))];
      if (next(2) == 0) {
        text.replace(at, 1, piece);
      } else {
        text.erase(at, 1 + next(8));
      }
      if (text.empty()) text.assign(1, '{');
    }
    const std::string message = refusal(text);  // anything but InputError ends the test
    refused += message.empty() ? 0 : 1;
    REQUIRE(message.find('\n') == std::string::npos);
    REQUIRE(message.size() < 1200);
  }
  CHECK(refused > 2000);
}
