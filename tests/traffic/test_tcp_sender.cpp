// One sender against acknowledgements that the test writes itself.
#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "models/traffic/tcp/sender.hpp"

using namespace rxpool;

namespace {

/// Draws no conclusions and keeps what it was told.
struct Told {
  double window = 10;
  std::vector<AckSample> samples;
  std::vector<std::uint32_t> congestions;  ///< in flight at each
  int timeouts = 0;
  int recoveries = 0;
};

class Recorder final : public CongestionControl {
 public:
  explicit Recorder(Told& told) : told_(told) {}
  void acked(const AckSample& sample) override { told_.samples.push_back(sample); }
  void congestion(Time, std::uint32_t in_flight) override { told_.congestions.push_back(in_flight); }
  void timeout(Time) override { ++told_.timeouts; }
  void recovered() override { ++told_.recoveries; }
  double window() const override { return told_.window; }

 private:
  Told& told_;
};

struct Connection {
  Told told;
  TcpSenderStats stats;
  TcpSender sender{std::make_unique<Recorder>(told), 1000, stats};

  explicit Connection(double window) { told.window = window; }

  void send(Time at, int count) {
    for (int i = 0; i < count; ++i) {
      REQUIRE(sender.may_send());
      sender.send(at);
    }
  }
  void acknowledge(Time at, std::uint64_t next, std::uint64_t sacked_from = 0, std::uint64_t sacked_to = 0) {
    TcpAck ack;
    ack.next = next;
    ack.sacked_from = sacked_from;
    ack.sacked_to = sacked_to;
    ack.window_end = next + 1000;
    sender.acknowledge(at, ack);
  }
};

}  // namespace

TEST_CASE("several losses in one window are one congestion, the first of the next window is another", "[TC-13]") {
  Connection c(20);
  c.sender.offer(100);
  c.send(microseconds(0), 20);
  // Segments 0 and 5 are lost; each is noticed by the third transmission behind it that arrives.
  c.acknowledge(microseconds(100), 0, 1, 4);
  CHECK(c.told.congestions == std::vector<std::uint32_t>{16});
  c.acknowledge(microseconds(101), 0, 6, 9);
  CHECK(c.stats.reductions == 1);
  CHECK(c.told.samples.back().lost >= 1);
  CHECK(c.told.samples.back().in_recovery);
  // Both are sent again; all of the window is acknowledged, and what comes then is a window of its own.
  c.send(microseconds(102), 2);
  CHECK(c.stats.retransmissions == 2);
  c.acknowledge(microseconds(200), 20);
  CHECK(c.told.recoveries == 1);
  CHECK_FALSE(c.told.samples.back().in_recovery);
  c.send(microseconds(201), 20);
  c.acknowledge(microseconds(300), 20, 21, 24);
  CHECK(c.stats.reductions == 2);
  CHECK(c.told.congestions.size() == 2);
}

TEST_CASE("only a sender that its window held back is told to be limited by it", "[TC-13]") {
  Connection c(4);
  c.sender.offer(6);
  c.send(microseconds(0), 4);
  CHECK_FALSE(c.sender.may_send());  // the window
  c.acknowledge(microseconds(100), 2);
  CHECK(c.told.samples.back().window_limited);
  c.send(microseconds(101), 2);
  c.acknowledge(microseconds(200), 4);
  CHECK_FALSE(c.told.samples.back().window_limited);
  CHECK_FALSE(c.sender.may_send());  // the application
  c.acknowledge(microseconds(201), 6);
  CHECK_FALSE(c.told.samples.back().window_limited);
}

TEST_CASE("the delivery rate is over the longer of the times of sending and of acknowledging", "[TC-14]") {
  // Sent at once, acknowledged one by one: what limits is the time of acknowledging.
  Connection burst(4);
  burst.sender.offer(4);
  burst.send(microseconds(0), 4);
  for (std::uint64_t i = 1; i <= 4; ++i) burst.acknowledge(microseconds(100 + 10 * static_cast<int>(i)), i);
  CHECK(burst.told.samples.back().delivered - burst.told.samples.back().prior_delivered == 4);
  CHECK(burst.told.samples.back().interval == microseconds(140));

  // Sent one by one and acknowledged together: it is the time of sending.
  Connection paced(4);
  paced.sender.offer(4);
  for (int i = 0; i < 4; ++i) paced.send(microseconds(200 * i), 1);
  paced.acknowledge(microseconds(700), 4);
  CHECK(paced.told.samples.back().delivered - paced.told.samples.back().prior_delivered == 4);
  CHECK(paced.told.samples.back().interval == microseconds(700));
  CHECK(paced.told.samples.back().rtt == microseconds(100));  // of the newest
}

TEST_CASE("a sample taken while the application had nothing to send says so", "[TC-14]") {
  Connection c(10);
  c.sender.offer(2);
  c.send(microseconds(0), 2);
  CHECK_FALSE(c.sender.may_send());
  c.sender.offer(1);
  c.send(microseconds(10), 1);
  c.acknowledge(microseconds(100), 2);
  CHECK_FALSE(c.told.samples.back().app_limited);
  c.acknowledge(microseconds(110), 3);
  CHECK(c.told.samples.back().app_limited);
}

TEST_CASE("a shorter interval than the smallest round trip is no sample", "[TC-14]") {
  Connection c(10);
  c.sender.offer(2);
  c.send(microseconds(0), 1);
  c.acknowledge(microseconds(100), 1);
  // The timer was too early: the acknowledgement of the first transmission comes right behind the second one.
  c.send(microseconds(100), 1);
  c.sender.timed_out(seconds(1));
  c.send(seconds(1), 1);
  c.acknowledge(seconds(1) + microseconds(1), 2);
  CHECK(c.told.samples.back().interval == Time{0});
  CHECK(c.told.samples.back().rtt == Time::never());  // Karn: it was sent twice
}

TEST_CASE("an unanswered segment is sent again when the timer says so, each time after twice as long", "[TC-12]") {
  Connection c(10);
  c.sender.offer(1);
  c.send(microseconds(0), 1);
  CHECK(c.sender.timeout_at() == seconds(1));
  c.sender.timed_out(seconds(1));
  CHECK(c.told.timeouts == 1);
  c.send(seconds(1), 1);
  CHECK(c.sender.timeout_at() == seconds(3));
  c.acknowledge(seconds(2), 1);
  CHECK(c.sender.timeout_at() == Time::never());
  CHECK(c.sender.done());
}
