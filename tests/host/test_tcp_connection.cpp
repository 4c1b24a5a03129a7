#include <catch2/catch.hpp>

#include "models/stack/tcp_connection.hpp"

using namespace rxpool;

namespace {

constexpr std::uint32_t truesize = 4352;  // a page (SK-2)

TcpConnection connection(TcpMemory& memory, std::uint32_t rcvbuf = 131072, bool autotuned = true) {
  TcpConnectionParams params;
  params.segment_bytes = 1460;
  params.rcvbuf = rcvbuf;
  params.autotuned = autotuned;
  return {params, memory};
}

TcpSegment segment(std::uint64_t number, bool ce = false) {
  TcpSegment made;
  made.number = number;
  made.ce = ce;
  return made;
}

}  // namespace

TEST_CASE("sixteen quick acknowledgements, then one for every second segment", "[TC-32]") {
  TcpMemory memory;
  TcpConnection c = connection(memory);
  for (std::uint64_t i = 0; i < 16; ++i) {
    c.receive(microseconds(1), segment(i), truesize);
    CHECK(c.acks_due() == 1);
    c.acks_sent();
    c.read(microseconds(1), truesize);
    c.acks_sent();
  }
  int acks = 0;
  for (std::uint64_t i = 16; i < 36; ++i) {
    c.receive(microseconds(2), segment(i), truesize);
    acks += static_cast<int>(c.acks_due());
    c.acks_sent();
  }
  CHECK(acks == 10);
}

TEST_CASE("a lone segment is acknowledged when it has been read", "[TC-32]") {
  TcpMemory memory;
  TcpConnection c = connection(memory);
  for (std::uint64_t i = 0; i < 17; ++i) {
    c.receive(microseconds(1), segment(i), truesize);
    c.acks_sent();
  }
  for (std::uint64_t i = 0; i < 16; ++i) {
    c.read(microseconds(2), truesize);
    c.acks_sent();
  }
  c.read(microseconds(2), truesize);
  REQUIRE(c.acks_due() == 1);
  CHECK(c.ack(0).next == 17);
}

TEST_CASE("a gap is named by the newest block, and closing it acknowledges all", "[TC-30]") {
  TcpMemory memory;
  TcpConnection c = connection(memory);
  CHECK(c.receive(Time{1}, segment(2), truesize) == TcpConnection::Arrival::beyond);
  CHECK(c.ack(0).next == 0);
  CHECK(c.ack(0).sacked_from == 2);
  CHECK(c.ack(0).sacked_to == 3);
  c.acks_sent();
  c.receive(Time{1}, segment(4), truesize);
  c.acks_sent();
  c.receive(Time{1}, segment(3), truesize);
  CHECK(c.ack(0).sacked_from == 2);
  CHECK(c.ack(0).sacked_to == 5);
  c.acks_sent();
  CHECK(c.receive(Time{1}, segment(3), truesize) == TcpConnection::Arrival::old);
  c.acks_sent();
  c.receive(Time{1}, segment(1), truesize);
  CHECK(c.next() == 0);
  c.acks_sent();
  CHECK(c.receive(Time{1}, segment(0), truesize) == TcpConnection::Arrival::in_order);
  CHECK(c.next() == 5);
  CHECK(c.ack(0).next == 5);
  CHECK(c.rmem_alloc() == 5 * truesize);
}

TEST_CASE("a change of marking is acknowledged on both of its sides", "[TC-22]") {
  TcpMemory memory;
  TcpConnection c = connection(memory);
  for (std::uint64_t i = 0; i < 17; ++i) {
    c.receive(microseconds(1), segment(i), truesize);
    c.acks_sent();
  }
  c.receive(microseconds(1), segment(17, true), truesize);
  REQUIRE(c.acks_due() == 1);
  CHECK_FALSE(c.ack(0).ece);
  CHECK(c.ack(0).next == 17);
  c.acks_sent();
  c.receive(microseconds(1), segment(18, true), truesize);
  REQUIRE(c.acks_due() == 1);
  CHECK(c.ack(0).ece);
}

TEST_CASE("the offered window is what the buffer holds of payload, and never shrinks", "[TC-31][TC-33]") {
  TcpMemory memory;
  TcpConnection c = connection(memory);
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const TcpConnection::Arrival arrival = c.receive(microseconds(1), segment(i), truesize);
    REQUIRE(c.acks_due() <= 1);
    if (c.acks_due() == 1) {
      CHECK(c.ack(0).window_end >= end);
      end = c.ack(0).window_end;
    }
    c.acks_sent();
    if (arrival == TcpConnection::Arrival::no_buffer) break;
  }
  // Nobody reads: the window closes at half of the first buffer, before anything is refused.
  CHECK(end == 65535 / 1460);
  CHECK(c.rmem_alloc() > 131072);
}

TEST_CASE("a buffer set by the application does not grow", "[TC-34]") {
  for (const bool autotuned : {true, false}) {
    TcpMemory memory;
    TcpConnection c = connection(memory, 131072, autotuned);
    Time now = microseconds(1);
    for (std::uint64_t i = 0; i < 5000; ++i) {
      now += microseconds(1);
      c.receive(now, segment(i), truesize);
      c.acks_sent();
      c.read(now, truesize);
      c.acks_sent();
    }
    CHECK((c.rcvbuf() > 131072) == autotuned);
  }
}
