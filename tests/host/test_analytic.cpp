// Queues whose answer is known, built from scenarios: a socket of K packets and its reader, a polled ring, a ring in
// overload, pages that are held. Each stands inside the simulated 95 % interval, and the interval is narrow enough to
// say something.
#include <unistd.h>

#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

struct Interval {
  double mean = 0;
  double half_width = 0;
  bool contains(double value) const { return std::abs(value - mean) <= half_width; }
};

/// 95 %, from ten independent replications (t with nine degrees of freedom).
Interval interval(const std::vector<double>& values) {
  REQUIRE(values.size() == 10);
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / 10;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, 2.262 * std::sqrt(squares / 9 / 10)};
}

/// Room for four packets of an ixgbe half page (2304 bytes each), and one in service: a system of five.
constexpr int system_size = 5;
std::string socket_queue(const std::string& law, double load) {
  const double service_ns = 400000;
  return R"({"duration_ms": 60000, "seed": 11,
    "cpus": {"cpu0": {"idle_states": "poll"}, "cpu1": {"idle_states": "poll"}},
    "nics": {"nic0": {"driver": "ixgbe", "adaptive_rx": false, "rx_usecs": 0, "rx_frames": 1,
                      "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu1", "rcvbuf": 4608,
                        "reader": {"service_ns": )" +
         std::to_string(service_ns) + R"(, "service_law": ")" + law + R"("}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
         std::to_string(load * 1e9 / service_ns) + R"(, "sizes": 128, "flows": {"destination_ports": "4000"}}}})";
}

struct SocketQueue {
  Interval loss;
  Interval wait_ns;  ///< from the wire to the reader, without service
  double service_ns = 0;
  double rate_per_ns = 0;
};

SocketQueue run_socket_queue(const std::string& law, double load) {
  const Scenario scenario = load_random(socket_queue(law, load));
  std::vector<double> loss;
  std::vector<double> wait;
  double busy_ns = 0;
  double delivered_total = 0;
  double arrived = 0;
  for (std::uint32_t replication = 0; replication < 10; ++replication) {
    RunOptions options;
    options.replication = replication;
    const ReplicationResult result = run_replication(scenario, options);
    const double delivered = metric(result, "sockets.app", "UdpInDatagrams");
    const double refused = metric(result, "sockets.app", "UdpRcvbufErrors");
    loss.push_back(refused / (delivered + refused));
    wait.push_back(metric(result, "sockets.app", "socket_queue_mean") * result.simulated_ms * 1e6 / delivered);
    busy_ns += metric(result, "cpus.cpu1", "busy_application") / 100 * result.simulated_ms * 1e6;
    delivered_total += delivered;
    arrived += delivered + refused;
  }
  SocketQueue queue;
  queue.loss = interval(loss);
  queue.wait_ns = interval(wait);
  queue.service_ns = busy_ns / delivered_total;
  queue.rate_per_ns = arrived / (10 * 60000 * 1e6);
  return queue;
}

/// M/M/1/K: probability of n in the system, n = 0 … K.
std::vector<double> mm1k(double rho, int k) {
  std::vector<double> p(static_cast<std::size_t>(k) + 1, 1);
  for (int n = 1; n <= k; ++n) p[n] = p[n - 1] * rho;
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

/// M/D/1/K from the chain embedded at departures (Gross and Harris, finite M/G/1).
std::vector<double> md1k(double rho, int k) {
  std::vector<double> arrivals(static_cast<std::size_t>(k) + 1);
  arrivals[0] = std::exp(-rho);
  for (int n = 1; n <= k; ++n) arrivals[n] = arrivals[n - 1] * rho / n;
  // pi[0..k-1]: customers left behind by a departure.
  std::vector<double> pi(static_cast<std::size_t>(k), 0);
  pi[0] = 1;
  for (int n = 0; n + 1 < k; ++n) {
    double rest = pi[n] - pi[0] * arrivals[n];
    for (int m = 1; m <= n; ++m) rest -= pi[m] * arrivals[n - m + 1];
    pi[n + 1] = rest / arrivals[0];
  }
  const double sum = std::accumulate(pi.begin(), pi.end(), 0.0);
  std::vector<double> p(static_cast<std::size_t>(k) + 1);
  const double scale = pi[0] / sum + rho;
  for (int n = 0; n < k; ++n) p[n] = pi[n] / sum / scale;
  p[k] = 1 - 1 / scale;
  return p;
}

/// Mean time in the queue of those admitted (Little).
double waiting_ns(const std::vector<double>& p, double rate_per_ns) {
  double queued = 0;
  for (std::size_t n = 2; n < p.size(); ++n) queued += static_cast<double>(n - 1) * p[n];
  return queued / (rate_per_ns * (1 - p.back()));
}

void check(const SocketQueue& queue, const std::vector<double>& p) {
  INFO("loss " << queue.loss.mean << " +- " << queue.loss.half_width << ", exact " << p.back());
  INFO("wait " << queue.wait_ns.mean << " +- " << queue.wait_ns.half_width << ", exact "
               << waiting_ns(p, queue.rate_per_ns));
  CHECK(queue.loss.contains(p.back()));
  CHECK(queue.loss.half_width <= 0.02 * queue.loss.mean);
  CHECK(queue.wait_ns.contains(waiting_ns(p, queue.rate_per_ns)));
  CHECK(queue.wait_ns.half_width <= 0.02 * queue.wait_ns.mean);
}

/// Mean of min(B, n), where B is how many an M/D/1 server serves before it is idle again (Borel's distribution).
double mean_busy_period(double rho, int n) {
  double served = 0;
  double beyond = 1;
  for (int k = 1; k < n; ++k) {
    const double probability = std::exp(-rho * k + (k - 1) * std::log(rho * k) - std::lgamma(k + 1.0));
    served += k * probability;
    beyond -= probability;
  }
  return served + n * beyond;
}

/// Loss of a ring of `n` descriptors that come back at the end of a poll: one poll serves min(B, n) packets, of which
/// all but the first arrived while it ran; what else arrived then found no descriptor.
double polled_ring_loss(double rho, int n) {
  const double served = mean_busy_period(rho, n);
  return 1 - served / (1 + rho * served);
}

/// A calibration in which nothing takes time but handling a packet.
class OnlyPackets {
 public:
  explicit OnlyPackets(double packet_ns)
      : folder_(std::filesystem::temp_directory_path() / ("rxpool_only_packets." + std::to_string(getpid()))) {
    std::ifstream source(std::filesystem::path(RXPOOL_SOURCE_DIR) / "scenarios/calibration/m1-mlx5.json");
    nlohmann::json file = nlohmann::json::parse(source);
    file.erase("fit");
    for (auto& [name, step] : file["steps"].items()) {
      step["ns"] = name == "rx_descriptor" ? packet_ns : 0.0;
      if (step.contains("ns_per_byte")) step["ns_per_byte"] = 0;
    }
    for (const char* const cost : {"packet_ns", "packet_ns_cqe_compress", "tx_packet_ns", "latency_ns"}) {
      file["pcie"][cost]["value"] = 0;
    }
    file["pcie"]["gbytes_per_s"]["value"] = 1000;
    file["idle"]["cold_packets"]["value"] = 0;
    std::filesystem::create_directories(folder_);
    std::ofstream(path()) << file;
  }
  ~OnlyPackets() { std::filesystem::remove_all(folder_); }

  std::string path() const { return (folder_ / "only-packets.json").string(); }

 private:
  std::filesystem::path folder_;
};

}  // namespace

TEST_CASE("the closed forms give known values", "[analytic]") {
  CHECK(mm1k(1, 4)[4] == Approx(0.2));
  CHECK(md1k(0.5, 1)[1] == Approx(0.5 / 1.5));  // Erlang loss does not depend on the service law
  // Without a bound the mean of a busy period is 1 / (1 - rho); a ring of one descriptor is Erlang's.
  CHECK(mean_busy_period(0.5, 400) == Approx(2));
  CHECK(polled_ring_loss(0.5, 1) == Approx(0.5 / 1.5));
  const std::vector<double> p = md1k(0.8, 6);
  CHECK(std::accumulate(p.begin(), p.end(), 0.0) == Approx(1));
}

TEST_CASE("a socket with an exponential reader is an M/M/1/K queue", "[analytic]") {
  const SocketQueue queue = run_socket_queue("exponential", 0.9);
  check(queue, mm1k(queue.rate_per_ns * queue.service_ns, system_size));
}

TEST_CASE("a socket with a constant reader is an M/D/1/K queue", "[analytic]") {
  const SocketQueue queue = run_socket_queue("constant", 0.9);
  check(queue, md1k(queue.rate_per_ns * queue.service_ns, system_size));
}

TEST_CASE("a polled ring loses what the busy period of an M/D/1 server says", "[analytic]") {
  constexpr int ring = 32;
  constexpr double packet_ns = 2000;
  const OnlyPackets calibration(packet_ns);
  for (const double rho : {0.8, 1.2}) {
    const Scenario scenario = load_random(R"({"duration_ms": 2000, "cpus": {"cpu0": {"idle_states": "poll"}},
      "calibration": ")" + calibration.path() +
                                          R"(",
      "nics": {"nic0": {"driver": "vmxnet3", "rx_ring": 32, "link_gbps": 400, "adaptive_rx": false, "rx_usecs": 0,
                        "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
      "policies": {"nic0": "drop"},
      "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                                          std::to_string(rho * 1e9 / packet_ns) + R"(, "sizes": 64}}})");
    std::vector<double> loss;
    for (std::uint32_t replication = 0; replication < 10; ++replication) {
      RunOptions options;
      options.replication = replication;
      const ReplicationResult result = run_replication(scenario, options);
      loss.push_back(static_cast<double>(place(result.packets, "dropped.rx_dropped")) /
                     static_cast<double>(result.packets.total));
    }
    const Interval found = interval(loss);
    INFO("load " << rho << ": loss " << found.mean << " +- " << found.half_width << ", exact "
                 << polled_ring_loss(rho, ring));
    CHECK(found.contains(polled_ring_loss(rho, ring)));
    CHECK(found.half_width <= 0.02 * found.mean);
  }
}

TEST_CASE("a thread that polls for nothing is refused, because it would never come to an end", "[PM-1][NA-45][NA-47]") {
  const OnlyPackets calibration(100);
  const auto refused = [&](const std::string& queue, const std::string& more) {
    const Scenario scenario =
        load_random(R"({"cpus": {"cpu0": {}}, "calibration": ")" + calibration.path() +
                    R"(", "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0")" + queue + R"(}}}}, )" + more +
                    R"("traffic": {"load": {"nic": "nic0", "rate_pps": 1000}}})");
    return refusal([&] { run_replication(scenario, {}); });
  };
  CHECK(refused("", R"("pmds": {"p": {"nic": "nic0", "queue": "rx0"}}, )").find("steps.rx_burst must be above 0") !=
        std::string::npos);
  CHECK(refused(R"(, "napi_threaded": true, "napi_busy_poll": true)", "").find("steps.napi_poll must be above 0") !=
        std::string::npos);
  CHECK(refused("", R"("sockets": {"s": {"port": 9, "cpu": "cpu0", "reader": {"busy_poll": 50}}}, )")
            .find("steps.napi_poll must be above 0") != std::string::npos);
}

TEST_CASE("in overload latency grows by one service time per descriptor", "[analytic]") {
  const auto latency_of = [](int ring) {
    const Scenario scenario = load_random(R"({"warmup_ms": 2, "duration_ms": 20, "cpus": {"cpu0": {}},
      "nics": {"nic0": {"driver": "mlx5", "rx_ring": )" +
                                          std::to_string(ring) + R"(, "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
      "policies": {"nic0": "drop"},
      "traffic": {"flood": {"nic": "nic0", "kind": "poisson", "rate_pps": 30000000, "sizes": 64, "flows": {"count": 9}}}})");
    const ReplicationResult result = run_replication(scenario, {});
    const std::string queue = "nics.nic0.rx_queues.rx0";
    return std::pair(metric(result, queue, "rx_latency_mean"),
                     result.simulated_ms * 1e6 / metric(result, queue, "rx_packets"));
  };
  const auto [small, service_small] = latency_of(1024);
  const auto [large, service_large] = latency_of(4096);
  CHECK(service_large == Approx(service_small).epsilon(0.02));
  CHECK(large - small == Approx((4096 - 1024) * service_large).epsilon(0.02));
}

TEST_CASE("a polled queue serves whole rings when it is overloaded", "[analytic]") {
  // Throughput of a server that is never idle does not depend on the law of arrivals.
  const auto rate = [](const std::string& kind) {
    const Scenario scenario = load_random(R"({"warmup_ms": 2, "duration_ms": 20, "cpus": {"cpu0": {}},
      "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0"}}}}, "policies": {"nic0": "drop"},
      "traffic": {"flood": {"nic": "nic0", "kind": ")" +
                                          kind + R"(", "rate_pps": 40000000, "sizes": 64, "flows": {"count": 9}}}})");
    return metric(run_replication(scenario, {}), "nics.nic0.rx_queues.rx0", "rx_packets");
  };
  CHECK(rate("poisson") == Approx(rate("constant")).epsilon(0.005));
}

TEST_CASE("the pages held are the rate times the time they are held", "[analytic]") {
  // Little's law on pages: one packet a page (vmxnet3), an application that needs 5 us of 10.
  const Scenario scenario = load_random(R"({"warmup_ms": 5, "duration_ms": 1000, "cpus": {"cpu0": {}, "cpu1": {}},
    "nics": {"nic0": {"driver": "vmxnet3", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "sockets": {"app": {"port": 4000, "cpu": "cpu1", "rcvbuf": 4194304, "reader": {"service_ns": 5000}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 100000, "sizes": 128, "flows": {"destination_ports": "4000"}}}})");
  const ReplicationResult result = run_replication(scenario, {});
  const double rate_per_ns = metric(result, "sockets.app", "UdpInDatagrams") / (result.simulated_ms * 1e6);
  const double queued = metric(result, "sockets.app", "socket_queue_mean");
  const double from_wire_ns = metric(result, "sockets.app", "socket_latency_mean");
  const double to_driver_ns = metric(result, "nics.nic0.rx_queues.rx0", "rx_latency_mean");
  // What is in the socket is less than what came past the driver and was not read yet; the difference is the stack's.
  CHECK(queued < rate_per_ns * (from_wire_ns - to_driver_ns));
  CHECK(queued == Approx(rate_per_ns * (from_wire_ns - to_driver_ns)).margin(rate_per_ns * 2500));
}
