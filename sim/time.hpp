#pragma once
// Simulated time: a signed 64-bit count of picoseconds, so that 6.72 ns (64 B at 100G) and 67.2 ns (at 10G) are exact.
// The same type serves instants and durations; the range is about 106 days.

#include <compare>
#include <cstdint>
#include <limits>

namespace rxpool {

struct Time {
  std::int64_t ps = 0;

  static constexpr Time never() { return Time{std::numeric_limits<std::int64_t>::max()}; }

  constexpr auto operator<=>(const Time&) const = default;
  constexpr Time& operator+=(Time other) {
    ps += other.ps;
    return *this;
  }
  constexpr Time& operator-=(Time other) {
    ps -= other.ps;
    return *this;
  }
};

constexpr Time operator+(Time a, Time b) {
  return Time{a.ps + b.ps};
}
constexpr Time operator-(Time a, Time b) {
  return Time{a.ps - b.ps};
}
constexpr Time operator*(Time a, std::int64_t n) {
  return Time{a.ps * n};
}
constexpr Time operator*(std::int64_t n, Time a) {
  return Time{a.ps * n};
}
constexpr std::int64_t operator/(Time a, Time b) {
  return a.ps / b.ps;
}
constexpr Time operator/(Time a, std::int64_t n) {
  return Time{a.ps / n};
}
constexpr Time operator%(Time a, Time b) {
  return Time{a.ps % b.ps};
}

constexpr Time picoseconds(std::int64_t n) {
  return Time{n};
}
constexpr Time nanoseconds(std::int64_t n) {
  return Time{n * 1'000};
}
constexpr Time microseconds(std::int64_t n) {
  return Time{n * 1'000'000};
}
constexpr Time milliseconds(std::int64_t n) {
  return Time{n * 1'000'000'000};
}
constexpr Time seconds(std::int64_t n) {
  return Time{n * 1'000'000'000'000};
}

/// Largest instant a scenario may reach; leaves room for sums of instants and durations (about 53 days).
constexpr Time time_limit() {
  return Time{std::numeric_limits<std::int64_t>::max() / 2};
}

}  // namespace rxpool
