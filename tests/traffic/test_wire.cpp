#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <tuple>
#include <vector>

#include "models/traffic/synthetic_source.hpp"
#include "models/traffic/wire.hpp"
#include "sim/error.hpp"

using namespace rxpool;

namespace {

/// Sends frames of given times and sizes; can be told to know nothing from some instant on.
class ScriptedSource final : public Source {
 public:
  ScriptedSource(std::uint16_t index, std::vector<Offer> offers)
      : Source("script", index), offers_(std::move(offers)) {}
  std::size_t produce(std::span<Offer> out) override {
    std::size_t count = 0;
    while (count < out.size() && next < offers_.size() && offers_[next].at < known) {
      out[count++] = offers_[next++];
    }
    return count;
  }
  void withdraw(std::size_t count) override { next -= count; }
  Time known_until() const override { return next < offers_.size() ? known : Time::never(); }
  void set_rate_factor(Time, double) override {}
  std::uint32_t flow_count() const override { return 1; }
  FlowKey flow_key(std::uint32_t) const override { return {}; }
  FlowKey key(const Packet&) const override { return {}; }
  std::size_t headers(const Packet&, std::span<std::byte>) const override { return 0; }

  Time known = Time::never();
  std::size_t next = 0;

 private:
  std::vector<Offer> offers_;
};

Offer offer(std::int64_t at_ps, std::uint16_t bytes) {
  Offer o;
  o.at = Time{at_ps};
  o.frame_bytes = bytes;
  return o;
}

std::vector<Packet> pull_all(Wire& wire, Time until, std::size_t at_once = 100) {
  std::vector<Packet> packets;
  for (;;) {
    std::vector<Packet> block(at_once);
    block.resize(wire.pull(until, block));
    packets.insert(packets.end(), block.begin(), block.end());
    if (block.size() < at_once) {
      return packets;
    }
  }
}

bool same(const std::vector<Packet>& a, const std::vector<Packet>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Packet& x, const Packet& y) {
    return x.arrival == y.arrival && x.id == y.id && x.flow == y.flow && x.frame_bytes == y.frame_bytes &&
           x.variant == y.variant && x.source == y.source;
  });
}

std::vector<std::unique_ptr<SyntheticSource>> mixture() {
  std::vector<std::unique_ptr<SyntheticSource>> sources;
  SourceParams params;
  params.arrivals.rate_pps = 1.5e6;
  params.sizes.kind = SizeKind::imix;
  sources.push_back(std::make_unique<SyntheticSource>("a", std::uint16_t{2}, params, 1, 0));
  params.arrivals.kind = ArrivalKind::constant;
  params.sizes.kind = SizeKind::fixed;
  sources.push_back(std::make_unique<SyntheticSource>("b", std::uint16_t{5}, params, 1, 0));
  params.arrivals.kind = ArrivalKind::on_off;
  sources.push_back(std::make_unique<SyntheticSource>("c", std::uint16_t{7}, params, 1, 0));
  return sources;
}

std::vector<Source*> pointers(const std::vector<std::unique_ptr<SyntheticSource>>& sources) {
  std::vector<Source*> result;
  for (const auto& source : sources) {
    result.push_back(source.get());
  }
  return result;
}

}  // namespace

TEST_CASE("64-byte frames pass a 10G link 14,880,952 times in a second", "[wire]") {
  SourceParams params;
  params.arrivals.kind = ArrivalKind::constant;
  params.arrivals.rate_pps = 2e7;
  SyntheticSource source("s", 0, params, 1, 0);
  Wire wire(10'000, {&source});
  std::uint64_t count = 0;
  std::vector<Packet> block(4096);
  Time last;
  // Up to 1 s and the gap that follows its last frame: a frame is done when its gap is.
  while (const std::size_t n = wire.pull(seconds(1) - nanoseconds(9) - picoseconds(600), block)) {
    count += n;
    last = block[n - 1].arrival;
  }
  CHECK(count == 14'880'952);
  CHECK(last == nanoseconds(57) + picoseconds(600) + picoseconds(67'200) * 14'880'951);
}

TEST_CASE("fractions of a picosecond are carried at link speeds that have them", "[wire]") {
  // 56 Gbit/s: a byte takes 142 6/7 ps, a 64-byte frame with preamble and gap 12,000 ps, a 65-byte one 12,142.857 ps.
  for (const std::uint16_t bytes : {std::uint16_t{64}, std::uint16_t{65}}) {
    std::vector<Offer> offers(7001, offer(0, bytes));
    ScriptedSource source(0, offers);
    Wire wire(56'000, {&source});
    const auto packets = pull_all(wire, Time::never());
    REQUIRE(packets.size() == 7001);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      // (i (bytes + 20) + bytes + 8) * 1000 / 7 ps, rounded up
      const std::int64_t exact = (static_cast<std::int64_t>(i) * (bytes + 20) + bytes + 8) * 1000;
      REQUIRE(packets[i].arrival.ps == (exact + 6) / 7);
    }
  }
}

TEST_CASE("a frame arrives with its last bit and the next one waits for the gap", "[wire]") {
  ScriptedSource source(3, {offer(1000, 64), offer(2000, 128), offer(1'000'000, 64)});
  Wire wire(10'000, {&source});
  CHECK(wire.next_arrival() == Time{1000 + 72 * 800});
  const auto packets = pull_all(wire, Time::never());
  REQUIRE(packets.size() == 3);
  CHECK(packets[0].arrival == Time{1000 + 72 * 800});
  CHECK(packets[1].arrival == Time{1000 + 84 * 800 + 136 * 800});
  CHECK(packets[2].arrival == Time{1'000'000 + 72 * 800});
  CHECK(packets[1].id == (std::uint64_t{3} << 48 | 1));
  CHECK(packets[1].source == 3);
  CHECK(wire.statistics().packets == 3);
  CHECK(wire.statistics().bytes == 256);
  CHECK(wire.statistics().longest_wait == Time{1000 + 84 * 800 - 2000});
  CHECK(wire.next_arrival() == Time::never());
}

TEST_CASE("ties go to the source with the lower index, whatever the order of creation", "[wire]") {
  ScriptedSource high(9, {offer(0, 64), offer(500'000, 64)});
  ScriptedSource middle(4, {offer(0, 64), offer(500'000, 64)});
  ScriptedSource low(1, {offer(0, 64), offer(500'000, 64)});
  Wire wire(10'000, {&low, &middle, &high});
  const auto packets = pull_all(wire, Time::never());
  REQUIRE(packets.size() == 6);
  CHECK(packets[0].source == 1);
  CHECK(packets[1].source == 4);
  CHECK(packets[2].source == 9);
  CHECK(packets[3].source == 1);
  CHECK_THROWS_AS(Wire(10'000, {&high, &low}), BugError);
}

TEST_CASE("the merge is the sorted union of what the sources offer", "[wire]") {
  for (const std::uint32_t mbps : {100'000u, 3'000u}) {
    const auto sources = mixture();
    Wire wire(mbps, pointers(sources));
    const auto packets = pull_all(wire, milliseconds(5));
    // By hand: all offers, sorted by (time, index), through one server.
    std::vector<std::tuple<Time, std::uint16_t, std::size_t, Offer>> offers;  // time, index, place
    const auto again = mixture();
    for (const auto& source : again) {
      std::vector<Offer> block(20'000);
      REQUIRE(source->produce(block) == block.size());
      for (const Offer& o : block) {
        offers.emplace_back(o.at, source->index(), offers.size(), o);
      }
    }
    std::sort(offers.begin(), offers.end(), [](const auto& a, const auto& b) {
      return std::tie(std::get<0>(a), std::get<1>(a), std::get<2>(a)) <
             std::tie(std::get<0>(b), std::get<1>(b), std::get<2>(b));
    });
    const long double ps_per_byte = 8e6L / mbps;
    long double free = 0;
    REQUIRE(packets.size() > 5000);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      const auto& [at, index, place, offered] = offers[i];
      const long double start = std::max(free, static_cast<long double>(at.ps));
      REQUIRE(packets[i].source == index);
      REQUIRE(packets[i].flow == offered.flow);
      const long double end = start + ps_per_byte * (offered.frame_bytes + 8);
      REQUIRE(std::fabs(static_cast<double>(static_cast<long double>(packets[i].arrival.ps) - end)) < 1.001);
      free = start + ps_per_byte * (offered.frame_bytes + 20);
    }
  }
}

TEST_CASE("how the caller cuts time and blocks changes nothing", "[wire]") {
  for (const std::uint32_t mbps : {10'000u, 7'000u}) {
    const auto one = mixture();
    const auto two = mixture();
    Wire whole(mbps, pointers(one));
    Wire pieces(mbps, pointers(two));
    const auto expected = pull_all(whole, milliseconds(3));
    std::vector<Packet> got;
    std::size_t at_once = 1;
    for (Time until = microseconds(1); until <= milliseconds(3); until += microseconds(1)) {
      for (const Packet& packet : pull_all(pieces, until, at_once)) {
        REQUIRE(packet.arrival <= until);
        REQUIRE(packet.arrival > until - microseconds(1));
        got.push_back(packet);
      }
      at_once = at_once % 70 + 1;
    }
    CHECK(same(expected, got));
  }
}

TEST_CASE("next_arrival is the arrival of the next packet", "[wire]") {
  const auto sources = mixture();
  Wire wire(7'000, pointers(sources));
  std::vector<Packet> one(1);
  for (int i = 0; i < 2000; ++i) {
    const Time next = wire.next_arrival();
    REQUIRE(wire.pull(next - picoseconds(1), one) == 0);
    REQUIRE(wire.pull(next, one) == 1);
    REQUIRE(one[0].arrival == next);
  }
}

TEST_CASE("a tie across the end of a block still goes to the lower index", "[wire]") {
  // 300 frames of source 0 at the same instant need more than one block; all of them come before source 1's.
  ScriptedSource first(0, std::vector<Offer>(300, offer(1000, 64)));
  ScriptedSource second(1, std::vector<Offer>(5, offer(1000, 64)));
  ScriptedSource third(2, {offer(1001, 64)});
  third.known = Time{1001};
  Wire wire(10'000, {&first, &second, &third});
  const auto packets = pull_all(wire, Time::never(), 7);
  REQUIRE(packets.size() == 305);
  CHECK(std::is_sorted(packets.begin(), packets.end(),
                       [](const Packet& a, const Packet& b) { return a.source < b.source; }));
}

TEST_CASE("a source that cannot say yet stops the wire at that instant", "[wire]") {
  ScriptedSource open(0, {offer(0, 64), offer(100'000, 64), offer(300'000, 64)});
  ScriptedSource responsive(1, {offer(200'000, 64), offer(400'000, 64)});
  responsive.known = Time{150'000};
  Wire wire(10'000, {&open, &responsive});
  CHECK(wire.known_until() == Time{150'000});
  CHECK(pull_all(wire, Time::never()).size() == 2);
  CHECK(wire.next_arrival() == Time{150'000});
  responsive.known = Time{250'000};
  const auto more = pull_all(wire, Time::never());
  REQUIRE(more.size() == 1);
  CHECK(more[0].source == 1);
  responsive.known = Time::never();
  const auto rest = pull_all(wire, Time::never());
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].source == 0);
  CHECK(rest[1].source == 1);
  CHECK(wire.known_until() == Time::never());
}

TEST_CASE("a link that changes speed serialises from then on at the new one", "[wire]") {
  ScriptedSource source(0, std::vector<Offer>(4, offer(0, 64)));
  Wire wire(10'000, {&source});
  wire.set_link(Time{67'200 + 1}, 1'000);
  const auto packets = pull_all(wire, Time::never());
  REQUIRE(packets.size() == 4);
  CHECK(packets[0].arrival == Time{57'600});
  CHECK(packets[1].arrival == Time{67'200 + 57'600});  // its first bit left before the change
  CHECK(packets[2].arrival == Time{2 * 67'200 + 576'000});
  CHECK(packets[3].arrival == Time{2 * 67'200 + 672'000 + 576'000});
}

TEST_CASE("while the link is down frames are lost at the sender", "[wire]") {
  std::vector<Offer> offers;
  for (int i = 0; i < 10; ++i) {
    offers.push_back(offer(i * 100'000, 64));
  }
  ScriptedSource source(0, offers);
  Wire wire(10'000, {&source});
  wire.set_link(Time{650'000}, 10'000);
  wire.set_link(Time{250'000}, 0);
  const auto packets = pull_all(wire, Time::never());
  REQUIRE(packets.size() == 6);
  CHECK(packets[2].arrival == Time{257'600});
  CHECK(packets[3].arrival == Time{757'600});
  CHECK(wire.statistics().carrier_errors == 4);
  CHECK(packets[3].id == 3);
}

TEST_CASE("a rate change reaches frames that were produced but not pulled", "[wire]") {
  const auto sources = mixture();
  Wire wire(100'000, pointers(sources));
  const auto before = pull_all(wire, microseconds(100));
  wire.set_rate_factor(5, microseconds(100), 0);
  wire.set_rate_factor(2, microseconds(100), 2);
  const auto after = pull_all(wire, milliseconds(10));
  const auto count = [&](std::uint16_t index) {
    return std::count_if(after.begin(), after.end(), [=](const Packet& p) { return p.source == index; });
  };
  CHECK(count(5) <= 1);  // one may have been on its way
  CHECK(std::abs(count(2) - 29'700) < 700);
  CHECK_THROWS_AS(wire.set_rate_factor(2, microseconds(1), 1), BugError);
  // The same, with the changes known from the start.
  const auto again = mixture();
  Wire early(100'000, pointers(again));
  early.set_rate_factor(5, microseconds(100), 0);
  early.set_rate_factor(2, microseconds(100), 2);
  auto all = before;
  all.insert(all.end(), after.begin(), after.end());
  CHECK(same(all, pull_all(early, milliseconds(10))));
}
