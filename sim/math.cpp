#include "sim/math.hpp"

#include <bit>
#include <cstdint>
#include <limits>

namespace rxpool::math {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double ln2_high = 0x1.62e42feep-1;  ///< 32 bits of ln 2: k * ln2_high is exact for every exponent k
constexpr double ln2_low = 0x1.a39ef35793c76p-33;
constexpr double ln2_lowest = 0x1.cc01f97b57a08p-87;

/// x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); x positive and finite.
struct Reduced {
  double k;
  double f;
};

Reduced reduce(double x) {
  constexpr std::uint64_t root_half = 0x3fe6a09e667f3bcd;  // bits of sqrt(1/2)
  constexpr std::uint64_t one = 0x3ff0000000000000;
  double k = -1023;
  if (x < std::numeric_limits<double>::min()) {
    x *= 0x1p54;
    k -= 54;
  }
  const std::uint64_t shifted = std::bit_cast<std::uint64_t>(x) + (one - root_half);
  k += static_cast<double>(static_cast<int>(shifted >> 52));
  return {k, std::bit_cast<double>((shifted & 0x000fffffffffffff) + root_half) - 1.0};
}

/// P in log((1 + s) / (1 - s)) = 2s + s z P(z), z = s^2: interpolation at 7 Chebyshev nodes of 0 <= z <= 0.02944,
/// computed with 60 digits; adds 5e-18 to the relative error of the logarithm.
double log_polynomial(double z) {
  const double z2 = z * z;
  const double low =
      (0x1.5555555555558p-1 + z * 0x1.99999999952d7p-2) + z2 * (0x1.2492492df281ap-2 + z * 0x1.c71c62e3f11e6p-3);
  const double high = (0x1.7462b51cb66b1p-3 + z * 0x1.39fe51a7c18f9p-3) + z2 * 0x1.2b5900de53b32p-3;
  return low + (z2 * z2) * high;
}

/// k ln 2 + log(1 + f) + correction, where log(1 + f) = f - f^2/2 + s (f^2/2 + z P(z)) and s = f / (2 + f).
double log_sum(double k, double f, double correction) {
  const double half_square = 0.5 * f * f;
  const double s = f / (2.0 + f);
  const double z = s * s;
  const double tail = s * (half_square + z * log_polynomial(z)) + (k * ln2_low + correction);
  return k * ln2_high - ((half_square - tail) - f);
}

/// An unevaluated sum, |low| <= ulp(high) / 2: about 106 bits.
struct Double2 {
  double high;
  double low;
};

Double2 two_sum(double a, double b) {
  const double sum = a + b;
  const double b_part = sum - a;
  return {sum, (a - (sum - b_part)) + (b - b_part)};
}

/// Exact product (Dekker 1971, with Veltkamp's split; |a|, |b| < 2^996).
Double2 two_product(double a, double b) {
  const double a_scaled = 0x1.0000002p27 * a;
  const double a_high = a_scaled - (a_scaled - a);
  const double a_low = a - a_high;
  const double b_scaled = 0x1.0000002p27 * b;
  const double b_high = b_scaled - (b_scaled - b);
  const double b_low = b - b_high;
  const double product = a * b;
  return {product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low};
}

Double2 multiply(Double2 a, Double2 b) {
  const Double2 p = two_product(a.high, b.high);
  return two_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
}

Double2 add(Double2 a, Double2 b) {
  const Double2 s = two_sum(a.high, b.high);
  return two_sum(s.high, s.low + (a.low + b.low));
}

/// log(x) to about 2^-66 relative, for pow: the terms 2s and (2/3) s^3 in two doubles, the rest in one.
Double2 log_extended(double x) {
  const Reduced r = reduce(x);
  const Double2 denominator = two_sum(2.0, r.f);
  const double quotient = r.f / denominator.high;
  const Double2 back = two_product(quotient, denominator.high);
  const Double2 s = two_sum(quotient, (((r.f - back.high) - back.low) - quotient * denominator.low) / denominator.high);
  const Double2 z = multiply(s, s);
  const Double2 cube = multiply(s, z);
  // (P(z) - 2/3) / z, interpolated like P.
  const double zh = z.high;
  const double z2 = zh * zh;
  const double rest =
      ((0x1.999999999999ep-2 + zh * 0x1.249249248e532p-2) + z2 * (0x1.c71c71d7e7fc3p-3 + zh * 0x1.745d09f06d811p-3)) +
      (z2 * z2) * ((0x1.3b18b8ee7a308p-3 + zh * 0x1.1018ae366a914p-3) + z2 * 0x1.08788c3e01713p-3);
  Double2 sum = multiply(cube, {0x1.5555555555555p-1, 0x1.5555555555555p-55});
  sum = add({2.0 * s.high, 2.0 * s.low}, add(sum, {cube.high * (zh * rest), 0.0}));
  const Double2 k_low = two_product(r.k, ln2_low);
  return add(add({r.k * ln2_high, 0.0}, {k_low.high, k_low.low + r.k * ln2_lowest}), sum);
}

/// 2^k by its bits; -1022 <= k <= 1023.
double power_of_two(int k) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52);
}

/// exp(x + low) for a tiny `low`.
double exp_sum(double x, double low) {
  if (x > 709.8) {
    return infinity;
  }
  if (x < -745.2) {
    return 0.0;
  }
  const double scaled = x * 0x1.71547652b82fep+0;  // 1 / ln 2
  const int k = static_cast<int>(scaled + (scaled < 0 ? -0.5 : 0.5));
  const double high = x - k * ln2_high;  // exact
  const double remainder = low - k * ln2_low;
  const Double2 r = two_sum(high, remainder);
  // e^r = 1 + r + r^2/2 + r^3 Q(r): Q interpolated at 10 Chebyshev nodes of |r| <= ln 2 / 2, error 2e-17.
  const double t = r.high;
  const double t2 = t * t;
  const double q01 = 0x1.5555555555556p-3 + t * 0x1.5555555555555p-5;
  const double q23 = 0x1.11111111109b3p-7 + t * 0x1.6c16c16c167e1p-10;
  const double q45 = 0x1.a01a01a7c41d5p-13 + t * 0x1.a01a01a47b054p-16;
  const double q67 = 0x1.71de0dae63bb3p-19 + t * 0x1.27e4e1f48534fp-22;
  const double q89 = 0x1.af38a9b0ec855p-26 + t * 0x1.1f66df7fca49fp-29;
  const double q = q01 + t2 * (q23 + t2 * (q45 + t2 * (q67 + t2 * q89)));
  const Double2 half_square = two_product(0.5 * t, t);
  const Double2 head = two_sum(1.0, t);
  const double value = head.high + (half_square.high + (head.low + half_square.low + t * (t2 * q) + r.low * (1.0 + t)));
  if (k >= -1021 && k <= 1023) {
    return value * power_of_two(k);
  }
  // Two steps: the first stays normal, so that only one rounding happens on the way to a subnormal or to infinity.
  return k > 0 ? value * power_of_two(k - 1) * 2.0 : value * power_of_two(k + 200) * 0x1p-200;
}

}  // namespace

double log(double x) {
  if (!(x > 0.0)) {
    return x == 0.0 ? -infinity : not_a_number;
  }
  if (x == infinity) {
    return x;
  }
  const Reduced r = reduce(x);
  return log_sum(r.k, r.f, 0.0);
}

double log1p(double x) {
  if (!(x > -1.0)) {
    return x == -1.0 ? -infinity : not_a_number;
  }
  if (x == infinity) {
    return x;
  }
  if (x > -0.29 && x < 0.41) {
    // x - x^2/2 + …: for the smallest x the result is x itself.
    return x > -0x1p-54 && x < 0x1p-54 ? x : log_sum(0.0, x, 0.0);
  }
  const double u = 1.0 + x;
  const double lost = x < 1.0 ? x - (u - 1.0) : 1.0 - (u - x);
  const Reduced r = reduce(u);
  return log_sum(r.k, r.f, lost / u);
}

double exp(double x) {
  if (x != x) {
    return x;
  }
  return exp_sum(x, 0.0);
}

double pow(double x, double y) {
  if (y == 0.0 || x == 1.0) {
    return 1.0;
  }
  if (x != x || y != y || x < 0.0) {
    return not_a_number;
  }
  if (x == 0.0 || x == infinity) {
    return (x == 0.0) == (y > 0.0) ? 0.0 : infinity;
  }
  if (y == infinity || y == -infinity || y > 0x1p70 || y < -0x1p70) {
    return (x > 1.0) == (y > 0.0) ? infinity : 0.0;
  }
  const Double2 exponent = multiply(log_extended(x), {y, 0.0});
  return exp_sum(exponent.high, exponent.low);
}

}  // namespace rxpool::math
