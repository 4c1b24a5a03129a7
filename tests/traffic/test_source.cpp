#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "models/traffic/synthetic_source.hpp"

using namespace rxpool;

namespace {

std::vector<Offer> produce(Source& source, std::size_t count) {
  std::vector<Offer> offers(count);
  offers.resize(source.produce(offers));
  return offers;
}

bool same(const Offer& a, const Offer& b) {
  return a.at == b.at && a.variant == b.variant && a.flow == b.flow && a.frame_bytes == b.frame_bytes;
}

bool same(const std::vector<Offer>& a, const std::vector<Offer>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Offer& x, const Offer& y) { return same(x, y); });
}

SourceParams source_of(ArrivalKind kind, double rate_pps) {
  SourceParams params;
  params.arrivals.kind = kind;
  params.arrivals.rate_pps = rate_pps;
  return params;
}

/// Every kind once, with sizes, flows and variants drawn.
std::vector<SourceParams> all_kinds() {
  std::vector<SourceParams> all;
  for (const ArrivalKind kind :
       {ArrivalKind::constant, ArrivalKind::poisson, ArrivalKind::mmpp, ArrivalKind::on_off, ArrivalKind::incast}) {
    SourceParams params = source_of(kind, 3e6);
    params.arrivals.states = {{1e6, 50}, {8e6, 20}, {0, 10}};
    params.arrivals.on_mean_us = 20;
    params.arrivals.off_mean_us = 30;
    params.arrivals.incast_senders = 7;
    params.arrivals.incast_frames = 5;
    params.arrivals.incast_jitter_us = 4;
    params.sizes.kind = SizeKind::imix;
    params.flows.count = 100;
    params.start_ms = 0.01;
    params.stop_ms = 3;
    params.schedule = {{0.1, 2, true}, {0.4, 0.5}, {0.6, 0}, {0.7, 0, true}, {1.2, 3}};
    all.push_back(params);
    params.arrivals.periods = PeriodKind::pareto;
    params.flows.zipf_exponent = 1.2;
    params.flows.addresses = kind == ArrivalKind::poisson ? AddressKind::per_packet : AddressKind::per_flow;
    all.push_back(params);
  }
  return all;
}

}  // namespace

TEST_CASE("what a source sends does not depend on the size of the blocks", "[source]") {
  for (const SourceParams& params : all_kinds()) {
    SyntheticSource whole("s", 0, params, 1, 0);
    SyntheticSource pieces("s", 0, params, 1, 0);
    const std::vector<Offer> expected = produce(whole, 20'000);
    REQUIRE(expected.size() > 1000);
    std::vector<Offer> got;
    for (std::size_t length = 1; got.size() < expected.size(); length = length % 300 + 7) {
      const auto more = produce(pieces, std::min(length, expected.size() - got.size()));
      REQUIRE(!more.empty());
      got.insert(got.end(), more.begin(), more.end());
    }
    CHECK(same(expected, got));
    CHECK(std::is_sorted(got.begin(), got.end(), [](const Offer& a, const Offer& b) { return a.at < b.at; }));
  }
}

TEST_CASE("withdrawn frames come again", "[source]") {
  for (const SourceParams& params : all_kinds()) {
    SyntheticSource straight("s", 0, params, 1, 0);
    SyntheticSource hesitant("s", 0, params, 1, 0);
    const std::vector<Offer> expected = produce(straight, 3000);
    std::vector<Offer> got;
    for (std::size_t withdraw = 0; got.size() < expected.size(); withdraw = (withdraw + 13) % 90) {
      auto more = produce(hesitant, std::min<std::size_t>(100, expected.size() - got.size()));
      const std::size_t back = std::min(withdraw, more.size() - 1);
      hesitant.withdraw(back / 2);
      hesitant.withdraw(back - back / 2);
      more.resize(more.size() - back);
      got.insert(got.end(), more.begin(), more.end());
    }
    CHECK(same(expected, got));
  }
}

TEST_CASE("a rate set late gives what the same rate gives when it is known from the start", "[source]") {
  for (SourceParams params : all_kinds()) {
    if (params.arrivals.kind == ArrivalKind::incast) {
      continue;  // a burst that has begun is sent whole
    }
    params.schedule.clear();
    SyntheticSource early("s", 0, params, 1, 0);
    SyntheticSource late("s", 0, params, 1, 0);
    const Time change = microseconds(200);
    early.set_rate_factor(change, 0.25);
    const std::vector<Offer> expected = produce(early, 2000);
    std::vector<Offer> got;
    bool changed = false;
    while (got.size() < expected.size()) {
      auto more = produce(late, std::min<std::size_t>(64, expected.size() - got.size()));
      if (!changed && (more.empty() || more.back().at >= change)) {
        const auto kept = std::partition_point(more.begin(), more.end(), [=](const Offer& o) { return o.at < change; });
        late.withdraw(static_cast<std::size_t>(more.end() - kept));
        more.erase(kept, more.end());
        late.set_rate_factor(change, 0.25);
        changed = true;
      }
      got.insert(got.end(), more.begin(), more.end());
    }
    CHECK(changed);
    CHECK(same(expected, got));
  }
}

TEST_CASE("a stopped source that is started again goes on", "[source]") {
  SyntheticSource source("s", 0, source_of(ArrivalKind::poisson, 1e6), 1, 0);
  source.set_rate_factor(microseconds(100), 0);
  const auto before = produce(source, 1000);
  CHECK(before.size() > 60);
  CHECK(before.size() < 140);
  CHECK(before.back().at < microseconds(100));
  CHECK(produce(source, 10).empty());
  source.set_rate_factor(microseconds(500), 1);
  const auto after = produce(source, 1000);
  REQUIRE(after.size() == 1000);
  CHECK(after.front().at >= microseconds(500));
}

TEST_CASE("equal gaps carry their fraction: ten million packets do not drift by a picosecond", "[source]") {
  // 3 packets per 1 ms is 333333333.333… ps each; 14880952.380952… pps is 67200 ps.
  SyntheticSource thirds("s", 0, source_of(ArrivalKind::constant, 3000), 1, 0);
  const auto offers = produce(thirds, 300'001);
  for (std::size_t i = 0; i < offers.size(); i += 1000) {
    REQUIRE(offers[i].at == picoseconds(static_cast<std::int64_t>(i) * 1'000'000'000 / 3));
  }
  SyntheticSource seven("s", 0, source_of(ArrivalKind::constant, 7e6), 1, 0);
  Offer last;
  for (int i = 0; i < 10'000; ++i) {
    last = produce(seven, 1000).back();
  }
  CHECK(last.at == picoseconds(static_cast<std::int64_t>(9'999'999) * 1'000'000 / 7));
}

TEST_CASE("Poisson gaps are exponential", "[source]") {
  SyntheticSource source("s", 0, source_of(ArrivalKind::poisson, 1e6), 1, 0);
  const auto offers = produce(source, 200'000);
  std::vector<double> gaps;
  Time last;
  for (const Offer& offer : offers) {
    gaps.push_back(static_cast<double>((offer.at - last).ps) / 1e6);
    last = offer.at;
  }
  std::sort(gaps.begin(), gaps.end());
  double distance = 0;
  const double n = static_cast<double>(gaps.size());
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    const double law = 1.0 - std::exp(-gaps[i]);
    distance = std::max(distance, std::fabs(law - (static_cast<double>(i) + 0.5) / n));
  }
  CHECK(distance < 1.63 / std::sqrt(n));
}

TEST_CASE("a ramp sends what its integral says", "[source]") {
  SourceParams params = source_of(ArrivalKind::constant, 1e6);
  params.schedule = {{0, 0, true}, {10, 2, true}, {20, 1}};  // up over 10 ms, down over 10 ms, then level
  SyntheticSource source("s", 0, params, 1, 0);
  const auto offers = produce(source, 40'000);
  const auto before = [&](Time t) {
    return std::count_if(offers.begin(), offers.end(), [=](const Offer& o) { return o.at < t; });
  };
  CHECK(std::abs(before(milliseconds(5)) - 2'500) <= 1);
  CHECK(std::abs(before(milliseconds(10)) - 10'000) <= 1);
  CHECK(std::abs(before(milliseconds(20)) - 25'000) <= 1);
  CHECK(std::abs(before(milliseconds(30)) - 35'000) <= 2);
}

TEST_CASE("start and stop bound what is sent", "[source]") {
  SourceParams params = source_of(ArrivalKind::constant, 1e6);
  params.start_ms = 1;
  params.stop_ms = 2;
  SyntheticSource source("s", 0, params, 1, 0);
  const auto offers = produce(source, 5000);
  REQUIRE(offers.size() == 1000);
  CHECK(offers.front().at == milliseconds(1));
  CHECK(offers.back().at == microseconds(1999));
  CHECK(source.known_until() == Time::never());
}

TEST_CASE("on/off sources have their long-run rate, and silence between", "[source]") {
  for (const PeriodKind periods : {PeriodKind::exponential, PeriodKind::pareto}) {
    SourceParams params = source_of(ArrivalKind::on_off, 1e6);
    params.arrivals.periods = periods;
    params.arrivals.pareto_shape = 2.5;
    params.arrivals.on_mean_us = 10;
    params.arrivals.off_mean_us = 90;
    SyntheticSource source("s", 0, params, 1, 0);
    const auto offers = produce(source, 1'000'000);
    CHECK(static_cast<double>(offers.back().at.ps) / 1e12 == Approx(1.0).epsilon(0.05));
    int long_gaps = 0;
    for (std::size_t i = 1; i < offers.size(); ++i) {
      const Time gap = offers[i].at - offers[i - 1].at;
      REQUIRE(gap >= nanoseconds(100));  // 10 Mpps while on
      long_gaps += gap > nanoseconds(150) ? 1 : 0;
    }
    CHECK(std::abs(long_gaps - 10'000) < 500);  // a cycle is 100 µs
  }
}

TEST_CASE("an MMPP has the mean of its states and more variance than Poisson", "[source]") {
  SourceParams params = source_of(ArrivalKind::mmpp, 1e6);
  params.arrivals.states = {{4e6, 100}, {0.5e6, 300}};  // (4 x 100 + 0.5 x 300) / 400 = 1.375 Mpps
  SyntheticSource source("s", 0, params, 1, 0);
  const auto offers = produce(source, 1'000'000);
  CHECK(1e6 / (static_cast<double>(offers.back().at.ps) / 1e12) == Approx(1.375e6).epsilon(0.04));
  std::vector<double> counts(static_cast<std::size_t>(offers.back().at / microseconds(50)) + 1);
  for (const Offer& offer : offers) {
    ++counts[static_cast<std::size_t>(offer.at / microseconds(50))];
  }
  double mean = 0;
  double squares = 0;
  for (const double c : counts) {
    mean += c / static_cast<double>(counts.size());
    squares += c * c / static_cast<double>(counts.size());
  }
  CHECK((squares - mean * mean) / mean > 5.0);
}

TEST_CASE("an incast burst has every sender's answer, at equal intervals", "[source]") {
  SourceParams params = source_of(ArrivalKind::incast, 1e6);
  params.arrivals.incast_senders = 8;
  params.arrivals.incast_frames = 5;
  params.flows.count = 8;
  SyntheticSource source("s", 0, params, 1, 0);
  const auto offers = produce(source, 400);
  for (std::size_t i = 0; i < offers.size(); ++i) {
    CHECK(offers[i].at == microseconds(40) * static_cast<std::int64_t>(i / 40));
    CHECK(offers[i].flow == i % 8);
  }
  params.arrivals.incast_jitter_us = 10;
  SyntheticSource jittered("s", 0, params, 1, 0);
  const auto spread = produce(jittered, 400);
  for (std::size_t burst = 0; burst < 10; ++burst) {
    std::vector<int> frames(8);
    for (std::size_t i = 0; i < 40; ++i) {
      const Offer& offer = spread[burst * 40 + i];
      const Time offset = offer.at - microseconds(40) * static_cast<std::int64_t>(burst);
      CHECK(offset >= Time{0});
      CHECK(offset < microseconds(10));
      ++frames[offer.flow];
    }
    CHECK(frames == std::vector<int>(8, 5));
  }
}

TEST_CASE("sizes and flows come as often as their weights say", "[source]") {
  SourceParams params = source_of(ArrivalKind::poisson, 1e6);
  params.sizes.kind = SizeKind::imix;
  params.flows.zipf_exponent = 1;
  params.flows.count = 4;  // 12 : 6 : 4 : 3
  SyntheticSource source("s", 0, params, 1, 0);
  const auto offers = produce(source, 120'000);
  const auto size = [&](int bytes) {
    return std::count_if(offers.begin(), offers.end(), [=](const Offer& o) { return o.frame_bytes == bytes; });
  };
  CHECK(std::abs(size(64) - 70'000) < 700);
  CHECK(std::abs(size(594) - 40'000) < 700);
  CHECK(std::abs(size(1518) - 10'000) < 400);
  const int weights[] = {12, 6, 4, 3};
  for (std::uint32_t flow = 0; flow < 4; ++flow) {
    const auto count = std::count_if(offers.begin(), offers.end(), [=](const Offer& o) { return o.flow == flow; });
    CHECK(std::abs(count - 4'800 * weights[flow]) < 700);
  }
}

TEST_CASE("uniform flows pass a chi-square test", "[source]") {
  SourceParams params = source_of(ArrivalKind::poisson, 1e6);
  params.flows.count = 1000;
  SyntheticSource source("s", 0, params, 1, 0);
  std::vector<double> counts(1000);
  for (const Offer& offer : produce(source, 200'000)) {
    ++counts.at(offer.flow);
  }
  double chi = 0;
  for (const double c : counts) {
    chi += (c - 200.0) * (c - 200.0) / 200.0;
  }
  CHECK(chi < 1143.9);  // 999 degrees of freedom, 0.1 %
  CHECK(chi > 860.0);
}

TEST_CASE("sources of different names, seeds and replications differ, creation order does not matter", "[source]") {
  const SourceParams params = source_of(ArrivalKind::poisson, 1e6);
  SyntheticSource a("a", 0, params, 1, 0);
  SyntheticSource b("b", 1, params, 1, 0);
  SyntheticSource b_first("b", 1, params, 1, 0);
  SyntheticSource a_second("a", 0, params, 1, 0);
  SyntheticSource other_replication("a", 0, params, 1, 1);
  const auto sent = produce(a, 100);
  CHECK(same(sent, produce(a_second, 100)));
  CHECK(same(produce(b, 100), produce(b_first, 100)));
  CHECK(!same(sent, produce(other_replication, 100)));
}

TEST_CASE("what a source sends has the same bits in every build", "[source][fingerprint]") {
  std::uint64_t hash = 0;
  for (const SourceParams& params : all_kinds()) {
    SyntheticSource source("s", 0, params, 1, 0);
    for (const Offer& offer : produce(source, 5000)) {
      for (const std::uint64_t value : {static_cast<std::uint64_t>(offer.at.ps), offer.variant,
                                        std::uint64_t{offer.flow}, std::uint64_t{offer.frame_bytes}}) {
        hash = (hash ^ value) * 0x100000001b3;
      }
    }
  }
  CHECK(hash == 0xf3096f9d98897c6a);
}
