// The oracle is long double libm (64-bit mantissa on x86-64): far more exact than what is tested.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>

#include "sim/math.hpp"
#include "sim/random.hpp"

namespace math = rxpool::math;

namespace {

/// Distance to the exact value in units of the last place of the result.
double ulps(double value, long double exact) {
  const double a = std::fabs(static_cast<double>(exact));
  const double ulp = std::nextafter(a, std::numeric_limits<double>::infinity()) - a;
  return static_cast<double>(std::fabs(static_cast<long double>(value) - exact) / static_cast<long double>(ulp));
}

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("log stays within one ulp of the truth, subnormals included", "[math]") {
  rxpool::RandomStream random(1, 0, "log");
  double worst = 0;
  for (int i = 0; i < 300'000; ++i) {
    const double wide = std::bit_cast<double>(random.next_u64() % 0x7ff0000000000000 | 1);
    const double near_one = 0.5 + 1.5 * random.next_unit();
    worst = std::max(worst, ulps(math::log(wide), std::log(static_cast<long double>(wide))));
    worst = std::max(worst, ulps(math::log(near_one), std::log(static_cast<long double>(near_one))));
  }
  CHECK(worst < 1.0);
  CHECK(math::log(1.0) == 0.0);
  CHECK(math::log(0.0) == -infinity);
  CHECK(math::log(infinity) == infinity);
  CHECK(std::isnan(math::log(-1.0)));
  CHECK(ulps(math::log(5e-324), std::log(static_cast<long double>(5e-324))) < 1.0);
}

TEST_CASE("log1p stays within one ulp of the truth and keeps tiny arguments", "[math]") {
  rxpool::RandomStream random(1, 0, "log1p");
  double worst = 0;
  for (int i = 0; i < 300'000; ++i) {
    const double magnitude = std::ldexp(1.0 + random.next_unit(), static_cast<int>(random.bounded(80)) - 60);
    worst = std::max(worst, ulps(math::log1p(magnitude), std::log1p(static_cast<long double>(magnitude))));
    if (magnitude < 1.0) {
      worst = std::max(worst, ulps(math::log1p(-magnitude), std::log1p(-static_cast<long double>(magnitude))));
    }
  }
  CHECK(worst < 1.0);
  CHECK(math::log1p(1e-300) == 1e-300);
  CHECK(math::log1p(-1.0) == -infinity);
  CHECK(std::isnan(math::log1p(-1.5)));
}

TEST_CASE("exp stays within one ulp of the truth and ends at zero and infinity", "[math]") {
  rxpool::RandomStream random(1, 0, "exp");
  double worst = 0;
  for (int i = 0; i < 300'000; ++i) {
    const double x = (random.next_unit() - 0.5) * 1416.0;
    const double small = (random.next_unit() - 0.5) * 4.0;
    worst = std::max(worst, ulps(math::exp(x), std::exp(static_cast<long double>(x))));
    worst = std::max(worst, ulps(math::exp(small), std::exp(static_cast<long double>(small))));
  }
  CHECK(worst < 1.0);
  CHECK(math::exp(0.0) == 1.0);
  CHECK(math::exp(-infinity) == 0.0);
  CHECK(math::exp(710.0) == infinity);
  CHECK(math::exp(-745.0) == 5e-324);
  CHECK(math::exp(-746.0) == 0.0);
  CHECK(ulps(math::exp(709.7), std::exp(static_cast<long double>(709.7))) < 1.0);
}

TEST_CASE("pow stays within one ulp of the truth where the exponent is large", "[math]") {
  rxpool::RandomStream random(1, 0, "pow");
  double worst = 0;
  for (int i = 0; i < 300'000; ++i) {
    const double x = std::ldexp(0.5 + random.next_unit(), static_cast<int>(random.bounded(40)) - 20);
    const double y = (random.next_unit() - 0.5) * 90.0;
    const long double exact = std::pow(static_cast<long double>(x), static_cast<long double>(y));
    if (exact > 1e-300L && exact < 1e300L) {
      worst = std::max(worst, ulps(math::pow(x, y), exact));
    }
  }
  CHECK(worst < 1.0);
  CHECK(math::pow(2.0, 10.0) == 1024.0);
  CHECK(math::pow(0.0, 2.0) == 0.0);
  CHECK(math::pow(0.0, -1.0) == infinity);
  CHECK(math::pow(7.0, 0.0) == 1.0);
  CHECK(math::pow(2.0, 5000.0) == infinity);
  CHECK(math::pow(2.0, -5000.0) == 0.0);
  CHECK(std::isnan(math::pow(-1.0, 2.0)));
}

TEST_CASE("rsqrt stays within one and a half ulp of the truth", "[math]") {
  rxpool::RandomStream random(1, 0, "rsqrt");
  double worst = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double x = 1.0 + 3.0 * random.next_unit();
    worst = std::max(worst, ulps(math::rsqrt(x), 1.0L / std::sqrt(static_cast<long double>(x))));
  }
  CHECK(worst < 1.5);
}

TEST_CASE("the bits of log, exp and pow are those of every other build", "[math][fingerprint]") {
  std::uint64_t hash = 0;
  rxpool::RandomStream random(7, 3, "bits");
  for (int i = 0; i < 20'000; ++i) {
    const double x = 1e-6 + 10.0 * random.next_unit();
    for (const double v : {math::log(x), math::exp(x), math::log1p(x), math::pow(x, 1.5), math::rsqrt(x)}) {
      hash = (hash ^ std::bit_cast<std::uint64_t>(v)) * 0x100000001b3;
    }
  }
  CHECK(hash == 0x5c0a05c533c0d085);
}
