// Each congestion control against the law that its authors derived for it.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "models/traffic/tcp/bbr.hpp"
#include "models/traffic/tcp/loss_based.hpp"
#include "tests/traffic/tcp_receiver.hpp"

using namespace rxpool;

namespace {

TcpSourceParams endless(TcpAlgorithm algorithm, double rtt_us, double rate_gbps) {
  TcpSourceParams params;
  params.congestion.algorithm = algorithm;
  params.flows.count = 1;
  params.path.rtt_us = rtt_us;
  params.path.rate_gbps = rate_gbps;
  return params;
}

double window(const TcpSource& source, std::uint32_t flow = 0) {
  return source.sender(flow).control().window();
}

double seconds_of(Time time) {
  return static_cast<double>(time.ps) * 1e-12;
}

}  // namespace

// Mathis, Semke, Mahdavi, Ott 1997: C = 1.31 for random losses and an acknowledgement per segment.
TEST_CASE("Reno's rate is (MSS / RTT) 1.31 / sqrt(p) within 15 %", "[TC-20]") {
  for (const double p : {1e-4, 3e-4, 1e-3, 3e-3, 1e-2}) {
    double total = 0;
    constexpr int runs = 4;
    const double rounds = std::max(4000.0, 40 / std::sqrt(p));
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
      TcpSourceParams params = endless(TcpAlgorithm::reno, 50'000, 100);
      params.path.loss = p;
      TcpSource source("traffic.reno", 0, params, 0, seed, 0);
      TcpReceiver receiver(source);
      const Time rtt = microseconds(50'000);
      receiver.run(rtt * 100);  // out of slow start
      const std::uint64_t before = source.stats().delivered;
      const auto length = static_cast<std::int64_t>(rounds);
      receiver.run(rtt * (100 + length));
      total += static_cast<double>(source.stats().delivered - before) / static_cast<double>(length);
    }
    const double expected = 1.31 / std::sqrt(p);
    INFO("p " << p << ", segments per round trip " << total / runs << ", expected " << expected);
    CHECK(total / runs == Approx(expected).epsilon(0.15));
  }
}

TEST_CASE("CUBIC's window follows its cubic within 5 %", "[TC-21]") {
  TcpSource source("traffic.cubic", 0, endless(TcpAlgorithm::cubic, 20'000, 2), 0, 1, 0);
  TcpReceiver receiver(source);
  Time now{0};
  const auto step = [&] { receiver.run(now += milliseconds(1)); };
  double w_max = 0;
  int compared = 0;
  double largest = 0;               // window before the reduction at hand
  receiver.run(now += seconds(5));  // slow start overshoots, and is over
  const std::uint64_t first = source.stats().reductions + 1;
  for (std::uint64_t epoch = first; epoch < first + 6; ++epoch) {
    while (source.stats().reductions < epoch) {
      largest = window(source);
      step();
      REQUIRE(now < seconds(300));
    }
    const double reduced = window(source);
    CHECK(reduced == Approx(largest * Cubic::beta).epsilon(0.02));
    largest = reduced / Cubic::beta;
    // RFC 9438, 4.7: fast convergence.
    w_max = largest < w_max ? largest * (1 + Cubic::beta) / 2 : largest;
    while (window(source) == reduced) step();  // the epoch begins with the first acknowledgement after the recovery
    if (epoch == first) continue;              // what the maximum was before is not known
    const Time began = now;
    const double k_s = std::cbrt(std::max(0.0, w_max - reduced) / Cubic::c);
    w_max = std::max(w_max, reduced);
    while (source.stats().reductions == epoch) {
      largest = window(source);
      const double t = seconds_of(now - began) + 0.02 - k_s;
      INFO("epoch " << epoch << ", " << seconds_of(now - began) << " s");
      CHECK(largest == Approx(Cubic::c * t * t * t + w_max).epsilon(0.05));
      ++compared;
      step();
    }
  }
  CHECK(compared > 1000);
}

// Alizadeh et al. 2010, equation 8: A = 1/2 sqrt(2 N (C RTT + K)) packets, of flows in step. Its condition on the gain,
// g < 1.386 / sqrt(2 (C RTT + K)) (equation 15), allows 1/16 up to 246 packets.
TEST_CASE("DCTCP's queue swings by half the root of twice the window at the mark within 20 %", "[TC-22]") {
  struct Case {
    double rtt_us, rate_gbps, threshold_kib;
  };
  for (const Case& c : {Case{100, 10, 100}, Case{50, 10, 60}, Case{100, 10, 200}, Case{100, 20, 100}}) {
    TcpSourceParams params = endless(TcpAlgorithm::dctcp, c.rtt_us, c.rate_gbps);
    params.path.queue_kib = 20'000;
    params.path.ecn_threshold_kib = c.threshold_kib;
    TcpSource source("traffic.dctcp", 0, params, 0, 1, 0);
    TcpReceiver receiver(source);
    receiver.run(milliseconds(200));
    // Windows at the top and at the bottom of each swing.
    std::vector<double> swings;
    double top = window(source);
    double last = top;
    bool falling = false;
    Time now = milliseconds(200);
    while (now < milliseconds(400)) {
      receiver.run(now += microseconds(20));
      const double w = window(source);
      if (w < last && !falling) {
        top = last;
        falling = true;
      } else if (w > last && falling) {
        swings.push_back(top - last);
        falling = false;
      }
      last = w;
    }
    REQUIRE(swings.size() > 10);
    double mean = 0;
    for (const double swing : swings) mean += swing / static_cast<double>(swings.size());
    const double at_mark = c.rate_gbps * 1e9 / 8 / 1518 * c.rtt_us * 1e-6 + c.threshold_kib * 1024 / 1518;
    const double expected = 0.5 * std::sqrt(2 * at_mark);
    INFO(c.rtt_us << " us, " << c.rate_gbps << " Gbit/s: swing " << mean << ", expected " << expected);
    CHECK(mean == Approx(expected).epsilon(0.20));
  }
}

TEST_CASE("BBR goes through STARTUP and DRAIN to a cycle of eight gains, a round trip each", "[TC-23]") {
  TcpSourceParams params = endless(TcpAlgorithm::bbr, 40'000, 0.1);
  TcpSource source("traffic.bbr", 0, params, 0, 1, 0);
  TcpReceiver receiver(source);
  const auto& bbr = dynamic_cast<const Bbr&>(source.sender(0).control());
  CHECK(bbr.state() == Bbr::State::startup);
  std::vector<Bbr::State> states{bbr.state()};
  std::vector<double> gains;
  std::size_t index = Bbr::cycle_gains.size();
  Time now{0};
  while (now < seconds(9)) {
    receiver.run(now += milliseconds(1));
    if (bbr.state() != states.back()) states.push_back(bbr.state());
    if (bbr.state() != Bbr::State::probe_bw) continue;
    if (bbr.cycle_index() == index) continue;
    index = bbr.cycle_index();
    gains.push_back(bbr.pacing_gain());
  }
  CHECK(states == std::vector{Bbr::State::startup, Bbr::State::drain, Bbr::State::probe_bw});
  REQUIRE(gains.size() > 80);
  const auto first = std::find(gains.begin(), gains.end(), 1.25) - gains.begin();
  for (std::size_t i = static_cast<std::size_t>(first); i < gains.size(); ++i) {
    CHECK(gains[i] == Bbr::cycle_gains[(i - static_cast<std::size_t>(first)) % 8]);
  }
  const double cycle_s = seconds_of(now) / static_cast<double>(gains.size()) * 8;
  CHECK(cycle_s == Approx(8 * 0.04).epsilon(0.25));
  CHECK(bbr.bandwidth_pps() == Approx(0.1e9 / 8 / 1518).epsilon(0.05));
  CHECK(bbr.min_rtt() >= milliseconds(40));
  CHECK(bbr.min_rtt() < milliseconds(43));
}

// Hock, Bless, Zitterbart 2017: flows that overestimate the rate in turn fill their windows of two products.
TEST_CASE("several BBR flows keep a queue of about one product of rate and round trip", "[TC-23]") {
  TcpSourceParams params = endless(TcpAlgorithm::bbr, 20'000, 1);
  params.flows.count = 6;
  params.spread_ms = 200;
  params.path.queue_kib = 40'000;
  TcpSource source("traffic.bbr", 0, params, 0, 1, 0);
  TcpReceiver receiver(source);
  const double product = 1e9 / 8 * 0.02;
  double sum = 0;
  int looks = 0;
  for (Time now = seconds(3); now < seconds(9); now += milliseconds(10)) {
    receiver.run(now);
    sum += static_cast<double>(source.path().backlog_bytes(source.worked_until()));
    ++looks;
  }
  INFO("mean queue in products " << sum / looks / product);
  CHECK(sum / looks / product > 0.6);
  CHECK(sum / looks / product < 1.4);
}

TEST_CASE("BBR visits PROBE_RTT every ten seconds and goes down to four segments", "[TC-23]") {
  TcpSourceParams params = endless(TcpAlgorithm::bbr, 40'000, 0.1);
  TcpSource source("traffic.bbr", 0, params, 0, 1, 0);
  TcpReceiver receiver(source);
  const auto& bbr = dynamic_cast<const Bbr&>(source.sender(0).control());
  Time in_probe_rtt{0};
  std::uint32_t least = 1000;
  for (Time now{0}; now < seconds(20); now += milliseconds(1)) {
    receiver.run(now);
    if (bbr.state() != Bbr::State::probe_rtt) continue;
    in_probe_rtt += milliseconds(1);
    least = std::min(least, source.sender(0).in_flight());
  }
  CHECK(least <= 4);
  CHECK(in_probe_rtt >= milliseconds(200));
  CHECK(in_probe_rtt < milliseconds(1000));
}
