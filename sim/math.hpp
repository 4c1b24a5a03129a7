#pragma once
// Elementary functions from IEEE-754 additions, multiplications, divisions and square roots alone, so that a trajectory
// has the same bits with every compiler, optimisation level and CPU (design: fingerprint). Compiled with
// -ffp-contract=off; nothing here calls libm. Errors stay within 1 ulp, 1.5 for rsqrt (tests/sim/test_math.cpp). Blocks
// of exponential draws have a shorter logarithm of their own in sim/random.cpp. Left out: floating-point exception
// flags, rounding modes other than to-nearest, negative bases of pow.

#include <cmath>

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

}  // namespace rxpool::math
