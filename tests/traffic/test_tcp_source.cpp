#include <catch2/catch.hpp>
#include <map>

#include "sim/error.hpp"
#include "tests/traffic/tcp_receiver.hpp"

using namespace rxpool;

namespace {

TcpSourceParams transfers(double kib, std::uint32_t flows) {
  TcpSourceParams params;
  params.flows.count = flows;
  params.transfer_kib = kib;
  params.path.rtt_us = 200;
  params.path.rate_gbps = 10;
  return params;
}

}  // namespace

TEST_CASE("a path delays, queues, overflows and marks in closed form", "[TC-1][TC-2][TC-3]") {
  PathParams params;
  params.rtt_us = 100;
  params.rate_gbps = 8;  // one byte per nanosecond
  params.queue_kib = 4;
  params.ecn_threshold_kib = 2;
  Path path(params, 1, 0, "path");
  CHECK(path.pass(Time{0}, 1000, true).arrives == microseconds(51));
  CHECK(path.pass(Time{0}, 1000, true).arrives == microseconds(52));
  CHECK(path.backlog_bytes(nanoseconds(500)) == 1500);
  CHECK_FALSE(path.pass(Time{0}, 1000, true).marked);  // finds 2000 of 2048 bytes
  CHECK(path.pass(Time{0}, 1000, true).marked);
  CHECK(path.pass(Time{0}, 1000, true).arrives == Time::never());
  CHECK(path.stats().overflow == 1);
  CHECK(path.stats().marked == 1);
  CHECK(path.pass(microseconds(10), 1000, true).arrives == microseconds(61));
  CHECK(path.acknowledged(microseconds(10)) == microseconds(60));
}

TEST_CASE("a path loses the share that it is asked to lose", "[TC-2]") {
  PathParams params;
  params.loss = 0.1;
  params.rate_gbps = 1600;
  Path path(params, 1, 0, "path");
  for (int i = 0; i < 100'000; ++i) path.pass(microseconds(i), 1000, false);
  CHECK(path.stats().lost > 9'500);
  CHECK(path.stats().lost < 10'500);
}

TEST_CASE("a transfer arrives whole, whatever is lost on the way", "[TC-10][TC-11]") {
  for (const auto algorithm : {TcpAlgorithm::reno, TcpAlgorithm::cubic, TcpAlgorithm::dctcp, TcpAlgorithm::bbr}) {
    for (const double loss : {0.0, 0.001, 0.05, 0.3}) {
      TcpSourceParams params = transfers(1000, 3);
      params.congestion.algorithm = algorithm;
      params.path.loss = loss;
      TcpSource source("traffic.tcp", 0, params, 7, 1, 0);
      TcpReceiver receiver(source);
      receiver.run(seconds(600));
      INFO("algorithm " << static_cast<int>(algorithm) << ", loss " << loss);
      const std::uint64_t segments = (1000 * 1024 + source.segment_bytes() - 1) / source.segment_bytes();
      CHECK(receiver.received() == 3 * segments);
      CHECK(source.stats().delivered == 3 * segments);
      CHECK(source.completion().count() == 3);
      CHECK(source.known_until() == Time::never());
      CHECK(source.stats().segments == 3 * segments + source.stats().retransmissions);
    }
  }
}

TEST_CASE("without a loss nothing is sent twice", "[TC-11]") {
  for (const auto algorithm : {TcpAlgorithm::reno, TcpAlgorithm::cubic, TcpAlgorithm::bbr}) {
    TcpSourceParams params = transfers(1000, 3);
    params.congestion.algorithm = algorithm;
    params.path.queue_kib = 10'000;
    TcpSource source("traffic.tcp", 0, params, 7, 1, 0);
    TcpReceiver receiver(source);
    receiver.run(seconds(600));
    CHECK(source.completion().count() == 3);
    CHECK(source.stats().retransmissions == 0);
    CHECK(source.stats().timeouts == 0);
  }
}

TEST_CASE("the first window is ten segments and doubles each round trip", "[TC-20]") {
  TcpSourceParams params = transfers(100'000, 1);
  params.congestion.algorithm = TcpAlgorithm::reno;
  TcpSource source("traffic.tcp", 0, params, 0, 1, 0);
  TcpReceiver receiver(source);
  std::map<std::int64_t, int> by_round;
  receiver.run(microseconds(750),
               [&](const Offer& offer) { ++by_round[(offer.at - microseconds(100)) / microseconds(200)]; });
  CHECK(by_round[0] == 10);
  CHECK(by_round[1] == 20);
  CHECK(by_round[2] == 40);
}

TEST_CASE("incast overflows a short queue, and timeouts mend it", "[TC-12]") {
  TcpSourceParams params = transfers(64, 100);
  params.every_ms = 2500;
  params.spread_ms = 2;
  params.path.queue_kib = 128;
  TcpSource source("traffic.incast", 0, params, 0, 1, 0);
  TcpReceiver receiver(source);
  receiver.run(milliseconds(9'900));
  CHECK(source.path().stats().overflow > 100);
  CHECK(source.stats().timeouts > 0);
  CHECK(source.completion().count() == 400);
  CHECK(source.completion().max() >= milliseconds(200).ps);
}

TEST_CASE("what a TCP source sends does not depend on how its time is cut", "[TC-4]") {
  const auto fingerprint = [](std::size_t block, std::int64_t front_us) {
    TcpSourceParams params = transfers(0, 4);
    params.path.loss = 0.003;
    params.spread_ms = 1;
    TcpSource source("traffic.tcp", 0, params, 0, 3, 0);
    // A receiver that says late how far it has come.
    std::vector<Offer> offers(block);
    std::map<std::uint32_t, std::uint64_t> next;
    Time front{0};
    source.set_front([&] { return front; });
    std::uint64_t sum = 0;
    std::uint64_t sent = 0;
    while (front < milliseconds(20)) {
      const std::size_t count = source.produce(offers);
      for (std::size_t i = 0; i < count; ++i) {
        const TcpSegment segment = TcpSegment::unpacked(offers[i].variant);
        TcpAck ack;
        ack.connection = segment.connection;
        std::uint64_t& expected = next[segment.connection];
        if (segment.number == expected) {
          ++expected;
        } else if (segment.number > expected) {
          ack.sacked_from = segment.number;
          ack.sacked_to = segment.number + 1;
        }
        ack.next = expected;
        ack.window_end = expected + 1'000'000;
        source.acknowledge(offers[i].at, ack);
        if (offers[i].at >= milliseconds(19)) continue;
        sum += (static_cast<std::uint64_t>(offers[i].at.ps) * 0x9e3779b97f4a7c15) ^ offers[i].variant;
        ++sent;
      }
      const Time known = count == block ? offers[count - 1].at : source.known_until();
      front = std::min(known, front + microseconds(front_us));
    }
    return std::pair(sent, sum);
  };
  const auto one = fingerprint(64, 1'000'000);
  CHECK(one.first > 1000);
  CHECK(fingerprint(1, 1'000'000) == one);
  CHECK(fingerprint(64, 7) == one);
  CHECK(fingerprint(3, 50) == one);
}

TEST_CASE("parameters of a TCP source are refused with their place", "[TC-1]") {
  TcpSourceParams params = transfers(0, 1);
  params.every_ms = 5;
  CHECK_THROWS_WITH(params.validate("traffic.x"), Catch::Contains("traffic.x.every_ms"));
  params = transfers(10, 1);
  params.path.rtt_us = 0.1;
  CHECK_THROWS_WITH(params.validate("traffic.x"), Catch::Contains("traffic.x.path.rtt_us"));
  params = transfers(10, 1);
  params.frame_bytes = 64;
  CHECK_NOTHROW(params.validate("traffic.x"));
  params.frame_bytes = 50;
  CHECK_THROWS_AS(params.validate("traffic.x"), InputError);
}
