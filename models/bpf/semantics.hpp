#pragma once
// What the arithmetic and conditional instructions compute (RFC 9669 sections 4.1 and 4.3), for T = uint64_t and
// uint32_t. Shift counts are masked, x / 0 = 0, x % 0 = x, and the smallest number divided by -1 is itself.

#include <cstdint>
#include <limits>
#include <type_traits>

namespace rxpool::bpf::semantics {

template <class T>
constexpr std::make_signed_t<T> as_signed(T value) {
  return static_cast<std::make_signed_t<T>>(value);
}

// clang-format off
template <class T> constexpr T add(T a, T b) { return static_cast<T>(a + b); }
template <class T> constexpr T sub(T a, T b) { return static_cast<T>(a - b); }
template <class T> constexpr T mul(T a, T b) { return static_cast<T>(a * b); }
template <class T> constexpr T div(T a, T b) { return b == 0 ? T{0} : a / b; }
template <class T> constexpr T mod(T a, T b) { return b == 0 ? a : a % b; }
template <class T> constexpr T or_(T a, T b) { return a | b; }
template <class T> constexpr T and_(T a, T b) { return a & b; }
template <class T> constexpr T xor_(T a, T b) { return a ^ b; }
template <class T> constexpr T lsh(T a, T b) { return static_cast<T>(a << (b & (sizeof(T) * 8 - 1))); }
template <class T> constexpr T rsh(T a, T b) { return static_cast<T>(a >> (b & (sizeof(T) * 8 - 1))); }
template <class T> constexpr T arsh(T a, T b) { return static_cast<T>(as_signed(a) >> (b & (sizeof(T) * 8 - 1))); }
template <class T> constexpr T mov(T, T b) { return b; }
template <class T> constexpr T sdiv(T a, T b) {
  return b == 0 ? T{0} : b == static_cast<T>(-1) ? static_cast<T>(T{0} - a) : static_cast<T>(as_signed(a) / as_signed(b));
}
template <class T> constexpr T smod(T a, T b) {
  return b == 0 ? a : b == static_cast<T>(-1) ? T{0} : static_cast<T>(as_signed(a) % as_signed(b));
}

template <class T> constexpr bool jeq(T a, T b) { return a == b; }
template <class T> constexpr bool jne(T a, T b) { return a != b; }
template <class T> constexpr bool jgt(T a, T b) { return a > b; }
template <class T> constexpr bool jge(T a, T b) { return a >= b; }
template <class T> constexpr bool jlt(T a, T b) { return a < b; }
template <class T> constexpr bool jle(T a, T b) { return a <= b; }
template <class T> constexpr bool jsgt(T a, T b) { return as_signed(a) > as_signed(b); }
template <class T> constexpr bool jsge(T a, T b) { return as_signed(a) >= as_signed(b); }
template <class T> constexpr bool jslt(T a, T b) { return as_signed(a) < as_signed(b); }
template <class T> constexpr bool jsle(T a, T b) { return as_signed(a) <= as_signed(b); }
template <class T> constexpr bool jset(T a, T b) { return (a & b) != 0; }

constexpr std::uint64_t neg64(std::uint64_t a) { return 0 - a; }
constexpr std::uint64_t neg32(std::uint64_t a) { return static_cast<std::uint32_t>(0 - static_cast<std::uint32_t>(a)); }
template <class From, class To> constexpr std::uint64_t extend(std::uint64_t a) {
  return static_cast<std::make_unsigned_t<To>>(static_cast<To>(static_cast<From>(a)));
}
constexpr std::uint64_t sext8_64(std::uint64_t a) { return extend<std::int8_t, std::int64_t>(a); }
constexpr std::uint64_t sext16_64(std::uint64_t a) { return extend<std::int16_t, std::int64_t>(a); }
constexpr std::uint64_t sext32_64(std::uint64_t a) { return extend<std::int32_t, std::int64_t>(a); }
constexpr std::uint64_t sext8_32(std::uint64_t a) { return extend<std::int8_t, std::int32_t>(a); }
constexpr std::uint64_t sext16_32(std::uint64_t a) { return extend<std::int16_t, std::int32_t>(a); }
constexpr std::uint64_t zext16(std::uint64_t a) { return static_cast<std::uint16_t>(a); }
constexpr std::uint64_t zext32(std::uint64_t a) { return static_cast<std::uint32_t>(a); }
constexpr std::uint64_t bswap16(std::uint64_t a) { return __builtin_bswap16(static_cast<std::uint16_t>(a)); }
constexpr std::uint64_t bswap32(std::uint64_t a) { return __builtin_bswap32(static_cast<std::uint32_t>(a)); }
constexpr std::uint64_t bswap64(std::uint64_t a) { return __builtin_bswap64(a); }
// clang-format on

}  // namespace rxpool::bpf::semantics
