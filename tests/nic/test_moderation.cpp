// Interrupt moderation: when a static setting fires, and how DIM walks over its profiles.
#include <catch2/catch.hpp>

#include <initializer_list>
#include <vector>

#include "models/nic/moderation.hpp"

using namespace rxpool;

namespace {

/// A queue whose interrupts come so that each sample of DIM sees the rates that the test asks for.
class Queue {
 public:
  explicit Queue(bool cqe_mode = false) : dim_(cqe_mode) {}

  /// 64 interrupts within 1 ms that brought so many packets of 100 bytes; the profile's index after them. The first of
  /// all and the first under a new profile have another before them, with which the measurement begins.
  std::uint32_t sample(std::uint64_t packets) {
    const std::uint32_t before = dim_.index();
    if (begins_) CHECK_FALSE(dim_.sample(now_, packets_, 100 * packets_));
    packets_ += packets;
    for (int event = 1; event <= 64; ++event) {
      const bool changed = dim_.sample(now_ + microseconds(1000 * event / 64), packets_, 100 * packets_);
      if (event < 64) CHECK_FALSE(changed);
    }
    now_ += microseconds(1000);
    begins_ = dim_.index() != before;
    return dim_.index();
  }
  std::vector<std::uint32_t> samples(std::initializer_list<std::uint64_t> packets) {
    std::vector<std::uint32_t> indices;
    for (const std::uint64_t n : packets) indices.push_back(sample(n));
    return indices;
  }
  const Dim& dim() const { return dim_; }

 private:
  Dim dim_;
  bool begins_ = true;
  Time now_{0};
  std::uint64_t packets_ = 0;
};

using Walk = std::vector<std::uint32_t>;

/// A ring of 64 descriptors with completions at these instants.
RxRing completed_at(std::initializer_list<std::int64_t> us) {
  RxRing ring(64);
  ring.post(64, Time{0});
  for (const std::int64_t at : us) ring.complete(Packet{}, microseconds(at));
  return ring;
}

}  // namespace

TEST_CASE("DIM begins at its second profile", "[NA-52]") {
  CHECK(Queue().dim().profile().usecs == 8);
  CHECK(Queue().dim().profile().frames == 256);
  CHECK(Queue(true).dim().profile().usecs == 8);
  CHECK(Queue(true).dim().profile().frames == 128);
}

TEST_CASE("while each sample is better it goes on to the last profile, and parks there", "[NA-52][NA-53]") {
  Queue queue;
  CHECK(queue.samples({1000, 2000, 3000}) == Walk{2, 3, 4});
  CHECK(queue.dim().profile().usecs == 256);
  CHECK(queue.samples({4000, 4000, 4300}) == Walk{4, 4, 4});  // within 10 % of 4000
  CHECK(queue.sample(4500) == 3);                             // it is not any more
}

TEST_CASE("drift is measured from where it parked, not from the last sample", "[NA-53]") {
  Queue queue;
  queue.samples({1000, 2000, 3000, 4000});
  // Each within 10 % of the one before.
  CHECK(queue.samples({4000, 4200, 4390}) == Walk{4, 4, 4});
  CHECK(queue.sample(4600) == 3);
}

TEST_CASE("a worse sample turns it, and one better step back from several means that the top is there", "[NA-53]") {
  Queue queue;
  CHECK(queue.samples({1000, 2000}) == Walk{2, 3});
  CHECK(queue.sample(1000) == 2);  // turned
  CHECK(queue.sample(2000) == 2);  // better again: two steps there and one back, so it parks
  CHECK(queue.samples({2000, 2000, 2100}) == Walk{2, 2, 2});
}

TEST_CASE("no difference turns it each time, until ten steps have made it tired for as many samples", "[NA-53]") {
  Queue queue;
  const Walk restless = queue.samples({1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000});
  CHECK(restless == Walk{2, 1, 2, 1, 2, 1, 2, 1, 2, 1});
  for (int i = 0; i < 10; ++i) CHECK(queue.sample(1000) == 1);
  CHECK(queue.sample(1000) == 0);
}

TEST_CASE("the static setting fires after its time or at its count, and at once with 0", "[NA-50]") {
  const auto fires = [](Coalescing setting, const RxRing& ring, Time armed = Time{0}, bool cqe_mode = false) {
    const Moderation::Instant instant = Moderation(setting, false, cqe_mode).fires(ring, armed, milliseconds(1));
    CHECK(instant.exact);
    return instant.at;
  };
  const RxRing three = completed_at({10, 12, 40});
  CHECK(fires({16, 32}, three) == microseconds(26));
  CHECK(fires({16, 2}, three) == microseconds(12));
  CHECK(fires({100, 3}, three) == microseconds(40));
  CHECK(fires({0, 32}, three) == microseconds(10));
  CHECK(fires({16, 1}, three) == microseconds(10));
  CHECK(fires({16, 32}, three, microseconds(30)) == microseconds(30));  // not before it is armed
  // In CQE mode each completion begins the time anew, until a gap is longer.
  CHECK(fires({16, 32}, three, Time{0}, true) == microseconds(28));
  CHECK(fires({16, 2}, three, Time{0}, true) == microseconds(12));
}

TEST_CASE("what the NIC has not worked out yet may still come before", "[NA-50]") {
  const Moderation moderation({16, 2}, false, false);
  const Moderation::Instant none = moderation.fires(RxRing(64), Time{0}, microseconds(5));
  CHECK_FALSE(none.exact);
  CHECK(none.at > microseconds(5));
  // A second completion before 26 us could still make the count.
  const Moderation::Instant one = moderation.fires(completed_at({10}), Time{0}, microseconds(20));
  CHECK_FALSE(one.exact);
  CHECK(moderation.fires(completed_at({10}), Time{0}, microseconds(26)).exact);
}
