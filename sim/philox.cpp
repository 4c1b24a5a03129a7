#include "sim/philox.hpp"

#include <Random123/philox.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rxpool::philox {

namespace {

constexpr std::size_t lanes = 8;
constexpr int rounds = 10;

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // gcc 12's own AVX-512 header (GCC bug 105593)
#endif
constexpr long long multiplier0 = 0xD2511F53;
constexpr long long multiplier1 = 0xCD9E8D57;
constexpr std::uint64_t key_step0 = 0x9E3779B9;
constexpr std::uint64_t key_step1 = 0xBB67AE85;

// In both versions 32-bit values lie in 64-bit lanes. The multiplication reads the low half of a lane and gives the
// whole product; its low half is used where it lies, with rubbish above it that only the last line removes.

__attribute__((target("avx2"))) void generate_avx2(std::uint64_t key, std::uint64_t stream, std::uint64_t first_group,
                                                   std::size_t groups, std::uint32_t* out) {
  const __m256i m0 = _mm256_set1_epi64x(multiplier0);
  const __m256i m1 = _mm256_set1_epi64x(multiplier1);
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  for (std::size_t g = 0; g < groups; ++g, out += group_words) {
    const __m256i first = _mm256_set1_epi64x(static_cast<long long>((first_group + g) * lanes));
    __m256i x0[2] = {_mm256_add_epi64(first, _mm256_set_epi64x(3, 2, 1, 0)),
                     _mm256_add_epi64(first, _mm256_set_epi64x(7, 6, 5, 4))};
    __m256i x1[2] = {_mm256_srli_epi64(x0[0], 32), _mm256_srli_epi64(x0[1], 32)};
    const __m256i upper = _mm256_set1_epi64x(static_cast<long long>(stream));
    __m256i x2[2] = {upper, upper};
    __m256i x3[2] = {_mm256_srli_epi64(upper, 32), _mm256_srli_epi64(upper, 32)};
    std::uint64_t k0 = key;
    std::uint64_t k1 = key >> 32;
#pragma GCC unroll 10
    for (int round = 0; round < rounds; ++round, k0 += key_step0, k1 += key_step1) {
      const __m256i round_key0 = _mm256_set1_epi64x(static_cast<long long>(k0));
      const __m256i round_key1 = _mm256_set1_epi64x(static_cast<long long>(k1));
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const __m256i p0 = _mm256_mul_epu32(x0[half], m0);
        const __m256i p1 = _mm256_mul_epu32(x2[half], m1);
        x0[half] = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), _mm256_xor_si256(x1[half], round_key0));
        x2[half] = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), _mm256_xor_si256(x3[half], round_key1));
        x1[half] = p1;
        x3[half] = p0;
      }
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      __m256i* const at = reinterpret_cast<__m256i*>(out) + half;
      _mm256_storeu_si256(at, _mm256_or_si256(_mm256_and_si256(x0[half], low), _mm256_slli_epi64(x1[half], 32)));
      _mm256_storeu_si256(at + 2, _mm256_or_si256(_mm256_and_si256(x2[half], low), _mm256_slli_epi64(x3[half], 32)));
    }
  }
}

__attribute__((target("avx512f"))) void generate_avx512(std::uint64_t key, std::uint64_t stream,
                                                        std::uint64_t first_group, std::size_t groups,
                                                        std::uint32_t* out) {
  constexpr int exclusive_or = 0x96;  // truth table of a ^ b ^ c
  const __m512i m0 = _mm512_set1_epi64(multiplier0);
  const __m512i m1 = _mm512_set1_epi64(multiplier1);
  const __m512i low = _mm512_set1_epi64(0xffffffff);
  for (std::size_t g = 0; g < groups; ++g, out += group_words) {
    __m512i x0 = _mm512_add_epi64(_mm512_set1_epi64(static_cast<long long>((first_group + g) * lanes)),
                                  _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
    __m512i x1 = _mm512_srli_epi64(x0, 32);
    __m512i x2 = _mm512_set1_epi64(static_cast<long long>(stream));
    __m512i x3 = _mm512_srli_epi64(x2, 32);
    std::uint64_t k0 = key;
    std::uint64_t k1 = key >> 32;
#pragma GCC unroll 10
    for (int round = 0; round < rounds; ++round, k0 += key_step0, k1 += key_step1) {
      const __m512i p0 = _mm512_mul_epu32(x0, m0);
      const __m512i p1 = _mm512_mul_epu32(x2, m1);
      x0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), x1, _mm512_set1_epi64(static_cast<long long>(k0)),
                                     exclusive_or);
      x2 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), x3, _mm512_set1_epi64(static_cast<long long>(k1)),
                                     exclusive_or);
      x1 = p1;
      x3 = p0;
    }
    _mm512_storeu_si512(out, _mm512_or_si512(_mm512_and_si512(x0, low), _mm512_slli_epi64(x1, 32)));
    _mm512_storeu_si512(out + 16, _mm512_or_si512(_mm512_and_si512(x2, low), _mm512_slli_epi64(x3, 32)));
  }
}
#endif

}  // namespace

void portable(std::uint64_t key, std::uint64_t stream, std::uint64_t first_group, std::size_t groups,
              std::uint32_t* out) {
  const philox4x32_key_t k{{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}};
  for (std::size_t g = 0; g < groups; ++g, out += group_words) {
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::uint64_t counter = (first_group + g) * lanes + i;
      const philox4x32_ctr_t at{{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                                 static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)}};
      const philox4x32_ctr_t block = philox4x32_R(rounds, at, k);
      out[2 * i] = block.v[0];
      out[2 * i + 1] = block.v[1];
      out[16 + 2 * i] = block.v[2];
      out[16 + 2 * i + 1] = block.v[3];
    }
  }
}

#if defined(__x86_64__)
Generate avx2() {
  return __builtin_cpu_supports("avx2") ? &generate_avx2 : nullptr;
}
Generate avx512() {
  return __builtin_cpu_supports("avx512f") ? &generate_avx512 : nullptr;
}
#else
Generate avx2() {
  return nullptr;
}
Generate avx512() {
  return nullptr;
}
#endif

Generate best() {
  if (const Generate wide = avx512()) {
    return wide;
  }
  if (const Generate wide = avx2()) {
    return wide;
  }
  return &portable;
}

}  // namespace rxpool::philox
