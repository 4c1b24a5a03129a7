// The digest of a trajectory: the same for the same set of records in any order, another for any other set.
#include <catch2/catch.hpp>

#include <set>

#include "sim/fingerprint.hpp"

using namespace rxpool;

namespace {

/// Packet `id` of ten, `changed` of which differ from the usual in one field.
Fingerprint packets(int changed_id = -1, int field = 0) {
  Fingerprint made;
  for (int i = 0; i < 10; ++i) {
    const int d = i == changed_id ? 1 : 0;
    const auto id = static_cast<std::uint64_t>(i + (field == 0 ? 100 * d : 0));
    made.packet(id, static_cast<std::uint32_t>(i % 3 + (field == 1 ? d : 0)), Time{1000 * i + (field == 2 ? d : 0)},
                static_cast<std::uint32_t>(field == 3 ? d : 0), Time{1000 * i + 500 + (field == 4 ? d : 0)});
  }
  return made;
}

}  // namespace

TEST_CASE("order and cuts do not matter") {
  Fingerprint forwards;
  Fingerprint backwards;
  Fingerprint halves[2];
  for (int i = 0; i < 100; ++i) {
    forwards.page(1, 2, static_cast<std::uint64_t>(i), nanoseconds(i));
    backwards.page(1, 2, static_cast<std::uint64_t>(99 - i), nanoseconds(99 - i));
    halves[i % 2].page(1, 2, static_cast<std::uint64_t>(i), nanoseconds(i));
  }
  CHECK(forwards.value() == backwards.value());
  halves[0].merge(halves[1]);
  CHECK(forwards.value() == halves[0].value());
}

TEST_CASE("each field of each record matters") {
  std::set<std::uint64_t> values{packets().value()};
  for (int id = 0; id < 10; ++id) {
    for (int field = 0; field < 5; ++field) {
      INFO("packet " << id << ", field " << field);
      CHECK(values.insert(packets(id, field).value()).second);
    }
  }
}

TEST_CASE("a record that is missing, doubled or mixed with another is noticed") {
  const Fingerprint once = packets();
  Fingerprint twice = once;
  twice.merge(once);
  CHECK(twice.value() != once.value());
  CHECK(Fingerprint{}.value() != once.value());
  // The arrival of one packet with the completion of another.
  Fingerprint straight;
  straight.packet(1, 0, Time{10}, 0, Time{20});
  straight.packet(2, 0, Time{30}, 0, Time{40});
  Fingerprint crossed;
  crossed.packet(1, 0, Time{10}, 0, Time{40});
  crossed.packet(2, 0, Time{30}, 0, Time{20});
  CHECK(straight.value() != crossed.value());
}
