#include "tests/host/random_scenario.hpp"

#include <filesystem>
#include <random>
#include <vector>

#include <nlohmann/json.hpp>

namespace rxpool {
namespace {

using Json = nlohmann::ordered_json;

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(seed) {}
  /// Uniform in 0 … n - 1; the test's own choices need no particular distribution, only the same ones everywhere.
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <typename T>
  T one_of(const std::vector<T>& values) {
    return values[below(values.size())];
  }

 private:
  std::mt19937_64 random_;
};

std::string cpu_name(std::uint64_t i) {
  return "cpu" + std::to_string(i);
}

Json make_nic(Draw& draw, std::uint64_t cpus, std::uint64_t queues) {
  Json nic;
  const auto driver = draw.one_of<std::string>(
      {"mlx5", "mlx5", "mlx5", "mlx5_striding", "ixgbe", "i40e", "ice", "mlx4", "virtio_net", "vmxnet3", "veth"});
  nic["driver"] = driver;
  nic["link_gbps"] = draw.one_of<double>({1, 10, 25, 100});
  if (draw.chance(20)) nic["buffer_kib"] = draw.one_of<double>({4, 16, 64});
  if (draw.chance(20)) nic["pcie"] = {{"packet_ns", draw.one_of<double>({100, 400, 900})}};
  if (draw.chance(40)) {
    nic["adaptive_rx"] = false;
    nic["rx_usecs"] = draw.one_of<int>({0, 1, 3, 16, 50, 200});
    nic["rx_frames"] = draw.one_of<int>({0, 1, 4, 32, 128});
  }
  if (draw.chance(20)) nic["rx_cqe_mode"] = true;
  if (draw.chance(20)) {
    nic["gro_flush_timeout_ns"] = draw.one_of<double>({5000, 20000});
    nic["napi_defer_hard_irqs"] = draw.one_of<int>({1, 3});
  }
  if (draw.chance(20)) nic["gro"] = false;
  if (draw.chance(15)) {
    const std::string rule = draw.one_of<std::string>({"raw_drop", "filter_drop"});
    nic["netfilter"] = {{rule, {{"enabled", true}, {"dst_port", 4001}}}, {"filter_rules", 3}};
  }
  if (draw.chance(10)) nic["ntuple"] = {{"odd", {{"protocol", "udp"}, {"dst_port", 4001}, {"action", "drop"}}}};
  for (std::uint64_t q = 0; q < queues; ++q) {
    Json queue = {{"cpu", cpu_name(draw.below(cpus))}};
    if (draw.chance(40)) {
      if (driver == "mlx5" || driver == "mlx4") queue["rx_ring"] = draw.one_of<int>({64, 128, 256});
      if (driver == "ixgbe" || driver == "i40e" || driver == "ice" || driver == "vmxnet3") {
        queue["rx_ring"] = draw.one_of<int>({64, 96, 160, 256});
      }
      if (driver == "virtio_net") queue["rx_ring"] = draw.one_of<int>({32, 64, 256});
      if (driver == "mlx5_striding") queue["rx_ring"] = 512;
    }
    if (driver == "mlx5" && draw.chance(20)) queue["pool_size"] = draw.one_of<int>({32, 64});
    if (draw.chance(20)) {
      queue["napi_threaded"] = true;
      if (draw.chance(50)) queue["thread_cpu"] = cpu_name(draw.below(cpus));
    }
    nic["rx_queues"]["rx" + std::to_string(q)] = queue;
  }
  return nic;
}

Json make_traffic(Draw& draw, const std::string& nic, double total_pps) {
  Json traffic = {{"nic", nic}};
  const auto kind = draw.one_of<std::string>({"poisson", "poisson", "constant", "on_off", "mmpp", "incast", "flood"});
  traffic["kind"] = kind;
  if (kind == "mmpp") {
    traffic["states"] = {{"low", {{"rate_pps", total_pps / 4}, {"mean_us", 100}}},
                         {"high", {{"rate_pps", total_pps * 2}, {"mean_us", 50}}}};
  } else {
    traffic["rate_pps"] = total_pps;
  }
  if (draw.chance(30)) {
    traffic["sizes"] = {{"kind", "imix"}};
  } else {
    traffic["sizes"] = draw.one_of<int>({64, 128, 512, 1518});
  }
  if (kind == "flood") {
    traffic["flows"] = {{"destination_ports", draw.one_of<std::string>({"4000", "4000-4003"})}};
  } else {
    traffic["flows"] = {{"count", draw.one_of<int>({1, 3, 50})},
                        {"destination_ports", draw.one_of<std::string>({"4000", "4000-4001", "4000-4003"})}};
    if (draw.chance(10)) traffic["flows"]["protocol"] = "tcp";
  }
  return traffic;
}

Json make_reader(Draw& draw, double duration_ms) {
  Json reader = Json::object();
  if (draw.chance(60)) reader["service_ns"] = draw.one_of<double>({100, 700, 2500, 10000});
  if (draw.chance(20)) reader["service_law"] = "exponential";
  if (draw.chance(30)) reader["batch"] = draw.one_of<int>({2, 8, 64});
  if (draw.chance(20)) reader["rate_pps"] = draw.one_of<double>({20000, 150000, 700000});
  if (draw.chance(20)) reader["nice"] = draw.one_of<int>({-5, 5, 10});
  if (draw.chance(20)) {
    reader["pauses"] = {
        {"gc", {{"at_ms", duration_ms / 8}, {"for_ms", duration_ms / 6}, {"every_ms", duration_ms / 2}}}};
  }
  return reader;
}

/// Memory that sockets share, pages that an application loses.
void add_socket_memory(Draw& draw, Json& scenario) {
  if (draw.chance(25)) scenario["kernel"]["udp_mem_pages"] = draw.one_of<int>({8, 40, 200});
  if (!scenario.contains("sockets")) return;
  if (draw.chance(25)) {
    scenario["memory"]["cgroups"]["apps"] = {{"memory_max_mib", draw.one_of<double>({0.03125, 0.25})}};
    for (auto& [name, socket] : scenario["sockets"].items()) {
      if (draw.chance(70)) socket["cgroup"] = "apps";
    }
  }
  if (draw.chance(20)) scenario["faults"]["leaks"]["app0"] = {{"share", draw.one_of<double>({0.01, 0.2})}};
}

/// What the machine and the wire may be like besides: NUMA nodes, compressed completions, uneven RSS, other headers, a
/// capture, memory that ends.
void add_hardware(Draw& draw, Json& scenario) {
  if (draw.chance(25)) {
    scenario["memory"]["nodes"] = 2;
    scenario["memory"]["total_mib"] = 128;
    if (scenario["memory"].contains("free_mib")) scenario["memory"]["free_mib"] = 32;
    for (auto& [name, cpu] : scenario["cpus"].items()) cpu["node"] = draw.below(2);
    for (auto& [name, nic] : scenario["nics"].items()) nic["node"] = draw.below(2);
  }
  for (auto& [name, nic] : scenario["nics"].items()) {
    const std::string driver = nic["driver"];
    if (driver.starts_with("mlx5") && draw.chance(25)) nic["pcie"]["cqe_compress"] = true;
    const std::uint64_t queues = nic["rx_queues"].size();
    if (queues > 1 && draw.chance(30)) {
      for (std::uint64_t q = 0; q < queues; ++q) {
        nic["rss"]["indirection"]["rx" + std::to_string(q)] = q == 0 ? 1 : draw.below(4);
      }
    }
    if (draw.chance(20)) nic["rss"]["udp"] = "sd";
  }
  for (auto& [name, traffic] : scenario["traffic"].items()) {
    // The longest of these headers do not fit into the smallest frame.
    if (!traffic["sizes"].is_number() || traffic["sizes"] < 128) continue;
    if (draw.chance(30)) traffic["flows"]["vlan"] = 7;
    if (draw.chance(30)) traffic["flows"]["ip_version"] = 6;
  }
  if (draw.chance(15)) {
    scenario["traffic"]["replayed"] = {{"nic", "nic0"},
                                       {"kind", "pcap"},
                                       {"file", "traces/netns-tcp-udp.pcap"},
                                       {"time_scale", draw.one_of<double>({0.001, 0.01})},
                                       {"loop", true}};
  }
  if (draw.chance(10)) {
    scenario["memory"]["free_mib"] = 48;
    scenario["memory"]["background"]["hog"] = {{"pages_per_ms", 30000}, {"blocking", true}};
  }
}

/// Breaker, pool limit and returned pages, fast enough to act within milliseconds. Last of all, so that what was drawn
/// before stays what it was.
Json make_control(Draw& draw) {
  Json control = {{"period_us", draw.one_of<int>({7, 20, 50})}};
  control["signal"]["period_us"] = control["period_us"];
  control["detectors"]["main"] = {{"kind", "ewma"}, {"time_constant_ms", 0.1}};
  if (draw.chance(70)) {
    control["breaker"] = {{"threshold", "pages"},
                          {"pages", draw.one_of<int>({20, 100, 400})},
                          {"reference_rtt_ms", draw.one_of<double>({0.05, 0.2})},
                          {"probe_one_in", 3}};
  }
  control["pool"]["returns"] = draw.one_of<std::string>({"never", "immediate", "watermark", "paced", "decay"});
  control["pool"]["limit"] = draw.one_of<std::string>({"none", "none", "soft", "absolute"});
  return control;
}

/// An AF_XDP socket on a queue of nic0; zero-copy where the driver has it and nobody asks for a page_pool.
Json make_xsk(Draw& draw, const Json& scenario, std::uint64_t cpus, double duration_ms) {
  const Json& nic = scenario["nics"]["nic0"];
  Json xsk = {{"nic", "nic0"},
              {"queue", "rx" + std::to_string(draw.below(nic["rx_queues"].size()))},
              {"cpu", cpu_name(draw.below(cpus))}};
  if (nic["driver"] == "mlx5" && !scenario.contains("control") && draw.chance(60)) xsk["mode"] = "zerocopy";
  if (draw.chance(20)) xsk["need_wakeup"] = false;
  if (draw.chance(70)) {
    xsk["frames"] = draw.one_of<int>({40, 200, 1000});
    xsk["fill_ring"] = draw.one_of<int>({64, 256, 1024});
    xsk["rx_ring"] = draw.one_of<int>({32, 128, 1024});
  }
  xsk["application"] = make_reader(draw, duration_ms);
  xsk["application"].erase("rate_pps");
  return xsk;
}

}  // namespace

std::string random_scenario(std::uint64_t seed, const RandomScenarioOptions& options) {
  Draw draw(seed);
  Json scenario;
  scenario["seed"] = seed;
  scenario["duration_ms"] = options.duration_ms;
  const std::uint64_t cpus = 1 + draw.below(4);
  for (std::uint64_t i = 0; i < cpus; ++i) {
    scenario["cpus"][cpu_name(i)] = {{"idle_states", draw.one_of<std::string>({"poll", "c1", "deep"})}};
  }
  scenario["kernel"] = {{"release", draw.one_of<std::string>({"6.18", "6.18", "6.12", "6.1"})},
                        {"hz", draw.one_of<int>({1000, 1000, 250})}};
  if (draw.chance(20)) scenario["kernel"]["netdev_budget"] = draw.one_of<int>({64, 128});
  if (draw.chance(25)) scenario["kernel"]["skb_defer_max"] = draw.one_of<int>({0, 4, 16});
  if (draw.chance(20)) scenario["kernel"]["stat_interval_ms"] = 1;
  scenario["memory"] = {{"total_mib", 256}};
  if (draw.chance(40)) {
    scenario["memory"]["free_mib"] = draw.one_of<int>({32, 64});
    scenario["memory"]["kswapd"] = {{"wake_latency_us", draw.one_of<double>({0, 20, 200})}, {"pages_per_ms", 400}};
    scenario["memory"]["background"]["leak"] = {{"pages_per_ms", draw.one_of<double>({500, 6000})},
                                                {"hold_ms", draw.one_of<double>({0, 1})},
                                                {"reclaimable", draw.chance(50)},
                                                {"blocking", draw.chance(50)}};
  }
  const std::uint64_t nics = 1 + draw.below(2);
  const double offered = draw.one_of<double>({2e5, 1e6, 3e6, 8e6});
  bool stack = false;
  for (std::uint64_t n = 0; n < nics; ++n) {
    const std::string nic = "nic" + std::to_string(n);
    const std::uint64_t queues = 1 + draw.below(n == 0 ? 8 : 3);
    scenario["nics"][nic] = make_nic(draw, cpus, queues);
    const auto program = draw.one_of<std::string>({"none", "none", "pass", "drop"});
    if (program != "none") scenario["policies"][nic] = program;
    stack = stack || program != "drop";
    const std::uint64_t sources = 1 + draw.below(3);
    for (std::uint64_t s = 0; s < sources; ++s) {
      scenario["traffic"][nic + "_" + std::to_string(s)] =
          make_traffic(draw, nic, offered / static_cast<double>(sources * nics));
    }
  }
  const std::uint64_t sockets = draw.below(4);
  for (std::uint64_t s = 0; s < sockets; ++s) {
    Json socket = {{"port", 4000 + s}, {"cpu", cpu_name(draw.below(cpus))}};
    if (draw.chance(50)) socket["rcvbuf"] = draw.one_of<int>({8192, 65536, 1048576});
    socket["reader"] = make_reader(draw, options.duration_ms);
    if (draw.chance(10)) socket["reader"]["paused"] = true;
    scenario["sockets"]["app" + std::to_string(s)] = socket;
  }
  // Timed changes.
  const double at = options.duration_ms / 3;
  if (draw.chance(30)) {
    scenario["events"]["move"] = {{"at_ms", at},
                                  {"set", {{"nics.nic0.rx_queues.rx0.cpu", cpu_name(draw.below(cpus))}}}};
    if (draw.chance(50)) {
      scenario["events"]["move_back"] = {{"at_ms", 2 * at},
                                         {"set", {{"nics.nic0.rx_queues.rx0.cpu", cpu_name(draw.below(cpus))}}}};
    }
  }
  if (sockets != 0 && draw.chance(30)) {
    scenario["events"]["stop"] = {{"at_ms", at * 0.5}, {"set", {{"sockets.app0.reader.paused", true}}}};
    scenario["events"]["go"] = {{"at_ms", at * 1.5}, {"set", {{"sockets.app0.reader.paused", false}}}};
  }
  if (draw.chance(15)) scenario["events"]["link"] = {{"at_ms", at * 1.2}, {"set", {{"nics.nic0.link_up", false}}}};
  if (draw.chance(15)) scenario["events"]["policy"] = {{"at_ms", at * 1.1}, {"set", {{"policies.nic0", "drop"}}}};
  bool pools = true;
  for (const auto& [name, nic] : scenario["nics"].items()) {
    const auto& driver = nic["driver"];
    pools &=
        driver == "mlx5" || driver == "mlx5_striding" || driver == "ice" || driver == "vmxnet3" || driver == "veth";
  }
  if (pools && draw.chance(40)) scenario["control"] = make_control(draw);
  if (draw.chance(25)) {
    scenario["policies"]["nic0"] = "xsk_def_prog";
    scenario["xsks"]["user"] = make_xsk(draw, scenario, cpus, options.duration_ms);
  }
  // Drawn after everything that older seeds drew.
  add_socket_memory(draw, scenario);
  if (scenario.contains("control") && draw.chance(40)) {
    scenario["control"]["cpu"] = cpu_name(draw.below(cpus));
    scenario["control"]["look_ns"] = draw.one_of<int>({300, 3000});
  }
  add_hardware(draw, scenario);
  return scenario.dump(1);
}

Scenario load_random(const std::string& text) {
  LoadOptions options;
  options.source_name = "random";
  options.folder = (std::filesystem::path(RXPOOL_SOURCE_DIR) / "scenarios").string();
  options.allow_path = true;  // policies of tests lie in the build tree
  return load_scenario(text, options);
}

}  // namespace rxpool
