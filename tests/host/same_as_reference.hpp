#pragma once
// The check that most tests of the host end with.

#include <catch2/catch.hpp>

#include "tests/host/agreement.hpp"

namespace rxpool {

inline void same_as_reference(const Scenario& scenario) {
  CHECK(compare_with_reference(scenario).differences == std::vector<std::string>{});
}

}  // namespace rxpool
