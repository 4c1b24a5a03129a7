#include <catch2/catch.hpp>

#include "models/scenario/field.hpp"
#include "models/scenario/overrides.hpp"

using rxpool::scenario::matches;
using rxpool::scenario::NaturalLess;

TEST_CASE("names are ordered as people number them") {
  const NaturalLess less;
  CHECK(less("rx2", "rx10"));
  CHECK_FALSE(less("rx10", "rx2"));
  CHECK(less("a", "b"));
  CHECK(less("rx", "rx0"));
  CHECK(less("rx1a", "rx1b"));
  CHECK(less("9", "10"));
  CHECK_FALSE(less("rx1", "rx1"));
  CHECK(less("rx01", "rx1") != less("rx1", "rx01"));  // different names are never equal
}

TEST_CASE("the order of names is a strict weak order") {
  const std::vector<std::string> names = {"",   "0",   "00",  "1",   "01", "10", "2",    "a",
                                          "a1", "a01", "a1b", "a10", "a2", "b0", "b00c", "b0c"};
  const NaturalLess less;
  for (const auto& a : names) {
    for (const auto& b : names) {
      CHECK((less(a, b) ? 1 : 0) + (less(b, a) ? 1 : 0) == (a == b ? 0 : 1));
      for (const auto& c : names) {
        if (less(a, b) && less(b, c)) CHECK(less(a, c));
      }
    }
  }
}

TEST_CASE("a star stands for exactly one name") {
  CHECK(matches("nics.*.rx_ring", "nics.nic0.rx_ring"));
  CHECK_FALSE(matches("nics.*.rx_ring", "nics.rx_ring"));
  CHECK_FALSE(matches("nics.*.rx_ring", "nics.a.b.rx_ring"));
  CHECK_FALSE(matches("nics.*", "nics"));
}
