#pragma once
// Elementary functions from IEEE-754 additions, multiplications, divisions and square roots alone, so that a trajectory
// has the same bits with every compiler, optimisation level and CPU (design: fingerprint). Compiled with
// -ffp-contract=off; nothing here calls libm. Errors stay within 1 ulp over the full range (2 ulp for pow).
// Left out: signalling of floating-point exceptions, rounding modes other than to-nearest, negative bases of pow.

#include <bit>
#include <cmath>
#include <cstdint>

namespace rxpool::math {

/// Natural logarithm; -inf at 0, NaN below.
double log(double x);
/// log(1 + x) without cancellation near 0.
double log1p(double x);
/// e^x; underflows gradually to 0, overflows to +inf.
double exp(double x);
/// x^y for x >= 0; NaN for negative x.
double pow(double x, double y);
/// 1 / sqrt(x): both operations are exactly rounded by IEEE-754.
inline double rsqrt(double x) {
  return 1.0 / std::sqrt(x);
}

namespace detail {

inline constexpr double ln2_high =
    0x1.62e42feep-1;  ///< the first 32 bits of ln 2: k * ln2_high is exact for |k| < 2^21
inline constexpr double ln2_low = 0x1.a39ef35793c76p-33;

/// Polynomial P in log((1+s)/(1-s)) = 2s + s z P(z), z = s^2: interpolation at 7 Chebyshev nodes of
/// 0 <= z <= 0.02944 in 60-digit arithmetic; adds 5e-18 to the relative error.
inline double log_polynomial(double z) {
  const double z2 = z * z;
  const double z4 = z2 * z2;
  const double low =
      (0x1.5555555555558p-1 + z * 0x1.99999999952d7p-2) + z2 * (0x1.2492492df281ap-2 + z * 0x1.c71c62e3f11e6p-3);
  const double high = (0x1.7462b51cb66b1p-3 + z * 0x1.39fe51a7c18f9p-3) + z2 * 0x1.2b5900de53b32p-3;
  return low + z4 * high;
}

/// log(2^k (1 + f)) with sqrt(1/2) <= 1 + f < sqrt(2); `low` is a correction to f / (1 + f).
inline double log_parts(double k, double f, double low) {
  const double half_square = 0.5 * f * f;
  const double s = f / (2.0 + f);
  const double z = s * s;
  // log(1+f) = f - f^2/2 + s (f^2/2 + z P(z)): the leading terms are exact or nearly so.
  const double tail = s * (half_square + z * log_polynomial(z)) + (k * ln2_low + low);
  return k * ln2_high - ((half_square - tail) - f);
}

/// log of a normal positive number, without a branch: the body of the vectorised blocks.
inline double log_normal_positive(double x) {
  constexpr std::uint64_t root_half = 0x3fe6a09e667f3bcd;  // bits of sqrt(1/2)
  constexpr std::uint64_t one = 0x3ff0000000000000;
  const std::uint64_t shifted = std::bit_cast<std::uint64_t>(x) + (one - root_half);
  // The biased exponent becomes a double by writing it into the mantissa of 2^52.
  const double biased = std::bit_cast<double>((shifted >> 52) | 0x4330000000000000);
  const double k = biased - (0x1p52 + 1023.0);
  const double mantissa = std::bit_cast<double>((shifted & 0x000fffffffffffff) + root_half);
  return log_parts(k, mantissa - 1.0, 0.0);
}

}  // namespace detail
}  // namespace rxpool::math
