// The truth and the scores against sums done by hand and by brute force.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "models/control/working_set_score.hpp"

using namespace rxpool;

namespace {

std::vector<double> made_up(std::size_t n) {
  std::vector<double> values(n);
  std::uint32_t x = 12345;
  for (double& value : values) value = (x = x * 1664525 + 1013904223) >> 22;
  return values;
}

}  // namespace

TEST_CASE("the sliding maximum is that of every window", "[CT-10]") {
  const std::vector<double> held = made_up(500);
  for (const int window : {1, 3, 17, 600}) {
    const std::vector<double> truth = oracle_max(held, milliseconds(1), milliseconds(window));
    for (std::size_t n = 0; n < held.size(); ++n) {
      const std::size_t end = std::min(held.size(), n + static_cast<std::size_t>(window));
      REQUIRE(truth[n] == *std::max_element(held.begin() + n, held.begin() + end));
    }
  }
}

TEST_CASE("the exceeded truth is the smallest level that so few values are above", "[CT-11]") {
  const std::vector<double> held = made_up(300);
  const std::vector<double> truth = oracle_exceeded(held, milliseconds(1), milliseconds(40), 0.1);
  for (std::size_t n = 0; n < held.size(); ++n) {
    const std::size_t end = std::min(held.size(), n + 40);
    const auto above = [&](double level) {
      return std::count_if(held.begin() + n, held.begin() + end, [&](double value) { return value > level; });
    };
    const double allowed = 0.1 * static_cast<double>(end - n);
    REQUIRE(static_cast<double>(above(truth[n])) <= allowed);
    REQUIRE(static_cast<double>(above(std::nextafter(truth[n], 0.0) - 0.5)) > allowed);
  }
}

TEST_CASE("a late estimate is charged its error, delay and false claims", "[CT-12][CT-13]") {
  // Truth 1000, from interval 100 on 3000; the estimate follows 50 ms later and claims to be steady throughout.
  std::vector<double> truth(300, 1000);
  std::fill(truth.begin() + 100, truth.end(), 3000);
  std::vector<WorkingSetEstimate> estimates(300, {1000, WorkingSetState::steady});
  std::fill(estimates.begin() + 150, estimates.end(), WorkingSetEstimate{3100, WorkingSetState::steady});
  ScoreOptions options;
  options.interval = milliseconds(1);
  const WorkingSetScore score = score_working_set(estimates, truth, options);
  CHECK(score.changes == 1);
  CHECK(score.detected == 1);
  CHECK(score.delay_ms == Approx(50));
  CHECK(score.error_pages == Approx((50 * 2000 + 150 * 100) / 300.0));
  CHECK(score.error_share == Approx((50 * 2000 + 150 * 100) / (100 * 1000 + 200 * 3000.0)));
  CHECK(score.false_steady_share == Approx(50 / 300.0));
  CHECK(score.page_seconds_above == Approx(150 * 100 * 1e-3));
  CHECK(score.known_share == 1);
}

TEST_CASE("a change that is never found is censored, one that does not last is none", "[CT-13]") {
  std::vector<double> truth(300, 1000);
  std::fill(truth.begin() + 50, truth.begin() + 60, 5000);  // 10 ms: shorter than the 20 ms that count
  std::fill(truth.begin() + 200, truth.end(), 4000);
  const std::vector<WorkingSetEstimate> estimates(300, {1000, WorkingSetState::growing});
  ScoreOptions options;
  options.interval = milliseconds(1);
  const WorkingSetScore score = score_working_set(estimates, truth, options);
  CHECK(score.changes == 1);
  CHECK(score.detected == 0);
  CHECK(std::isnan(score.delay_ms));
  CHECK(score.false_steady_share == 0);
}
