// The packet buffer forgets what has left only when it must; the plain one below does so at every frame.
#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <utility>

#include "models/nic/rx_buffer.hpp"
#include "sim/random.hpp"

using namespace rxpool;

namespace {

class PlainBuffer {
 public:
  explicit PlainBuffer(std::uint32_t bytes) : bytes_(bytes) {}
  bool admits(std::uint32_t frame_bytes, Time now) {
    while (!waiting_.empty() && waiting_.front().first <= now) {
      used_ -= waiting_.front().second;
      waiting_.pop_front();
    }
    return used_ + frame_bytes <= bytes_;
  }
  void enter(std::uint32_t frame_bytes, Time leaves) {
    waiting_.emplace_back(leaves, frame_bytes);
    used_ += frame_bytes;
  }

 private:
  std::uint32_t bytes_;
  std::uint32_t used_ = 0;
  std::deque<std::pair<Time, std::uint32_t>> waiting_;
};

}  // namespace

TEST_CASE("a packet buffer refuses the frames that one refuses which is emptied at every frame") {
  RandomStream random(7, 0, "frames");
  for (const std::uint32_t bytes : {2000u, 65536u}) {
    RxBuffer buffer(bytes);
    PlainBuffer plain(bytes);
    Time now{0};
    Time server_free{0};
    int refused = 0;
    int idle = 0;
    for (int i = 0; i < 200000; ++i) {
      // Slow and fast stretches: the buffer runs full and empty.
      now += Time{random.bounded(i / 5000 % 2 == 0 ? 80000 : 200000)};
      const std::uint32_t frame_bytes = 64 + random.bounded(1455);
      idle += now >= server_free ? 1 : 0;
      buffer.all_left_if(now >= server_free);
      const bool admitted = buffer.admits(frame_bytes, now);
      REQUIRE(admitted == plain.admits(frame_bytes, now));
      refused += admitted ? 0 : 1;
      if (!admitted) continue;
      const Time start = std::max(now, server_free);
      // One in four finds no descriptor and leaves when its turn comes.
      if (random.bounded(4) != 0) server_free = start + Time{90 * std::int64_t{frame_bytes}};
      const Time leaves = std::max(start, std::min(start + Time{90 * std::int64_t{frame_bytes}}, server_free));
      buffer.enter(frame_bytes, leaves);
      plain.enter(frame_bytes, leaves);
    }
    CHECK(refused > 100);
    CHECK(idle > 100);
  }
}
