#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "sim/distribution.hpp"
#include "sim/error.hpp"

using namespace rxpool;

TEST_CASE("exponential times have their mean and are whole picoseconds", "[distribution]") {
  RandomStream random(1, 0, "exponential");
  const ExponentialTime draw(microseconds(1));
  double sum = 0;
  const int n = 200'000;
  for (int i = 0; i < n; ++i) {
    sum += static_cast<double>(draw(random).ps);
  }
  CHECK(std::fabs(sum / n / 1e6 - 1.0) < 4.0 / std::sqrt(n));
}

TEST_CASE("Pareto times follow their law and have their mean", "[distribution]") {
  RandomStream random(1, 0, "pareto");
  const double shape = 2.5;
  const ParetoTime draw(microseconds(100), shape);
  const double minimum = draw.minimum_ps();
  CHECK(minimum == Approx(60e6));
  std::vector<double> values;
  double sum = 0;
  for (int i = 0; i < 200'000; ++i) {
    values.push_back(static_cast<double>(draw(random).ps));
    sum += values.back();
  }
  const double n = static_cast<double>(values.size());
  CHECK(sum / n / 1e8 == Approx(1.0).margin(0.02));
  std::sort(values.begin(), values.end());
  double distance = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double law = 1.0 - std::pow(minimum / std::max(values[i], minimum), shape);
    distance = std::max(distance, std::fabs(law - (static_cast<double>(i) + 0.5) / n));
  }
  CHECK(distance < 1.63 / std::sqrt(n));
}

TEST_CASE("a time beyond the limit is cut there", "[distribution]") {
  CHECK(to_time(1e300) == time_limit());
  CHECK(to_time(0.5) == Time{1});
  CHECK(to_time(0.49) == Time{0});
}

TEST_CASE("an alias table draws every index as often as its weight says", "[distribution]") {
  RandomStream random(1, 0, "alias");
  const std::array<double, 6> weights{7, 4, 1, 0, 0.5, 20};
  const AliasTable table(weights);
  std::array<int, 6> counts{};
  const int n = 400'000;
  for (int i = 0; i < n; ++i) {
    ++counts[table(random)];
  }
  CHECK(counts[3] == 0);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double p = weights[i] / 32.5;
    CHECK(std::fabs(counts[i] - n * p) <= 4.0 * std::sqrt(n * p * (1 - p)));
  }
}

TEST_CASE("an alias table of one weight, and one of none", "[distribution]") {
  RandomStream random(1, 0, "alias");
  const std::array<double, 1> one{3};
  CHECK(AliasTable(one)(random) == 0);
  const std::array<double, 2> none{0, 0};
  CHECK_THROWS_AS(AliasTable(none), BugError);
}
