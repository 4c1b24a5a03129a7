#include "sim/random.hpp"

#include <algorithm>
#include <bit>

#include "sim/block_kernels.hpp"
#include "sim/math.hpp"
#include "sim/philox.hpp"

namespace rxpool {

namespace {

const philox::Generate generate = philox::best();

/// FNV-1a over the name: 64 bits tell any realistic set of component names apart.
std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

/// log(2^32) - log(word + 1/2), without a branch. The polynomial is math::detail::log_polynomial's with four terms:
/// interpolation at 4 Chebyshev nodes, 2e-11 of the result; a draw needs no more, and this is its whole cost.
inline double exponential_from(std::uint32_t word) {
  constexpr std::uint64_t root_half = 0x3fe6a09e667f3bcd;  // bits of sqrt(1/2)
  constexpr std::uint64_t one = 0x3ff0000000000000;
  constexpr std::uint64_t two_to_52 = 0x4330000000000000;
  constexpr double ln2 = 0x1.62e42fefa39efp-1;
  const double u = std::bit_cast<double>(two_to_52 | word) - (0x1p52 - 0.5);
  const std::uint64_t shifted = std::bit_cast<std::uint64_t>(u) + (one - root_half);
  const double halvings = (0x1p52 + 1023.0 + 32.0) - std::bit_cast<double>(two_to_52 | (shifted >> 52));
  const double m = std::bit_cast<double>((shifted & 0x000fffffffffffff) + root_half);
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  const double p =
      (0x1.5555554bb1b2fp-1 + z * 0x1.9999eb63e783dp-2) + (z * z) * (0x1.245c40aecb50cp-2 + z * 0x1.ddcf7101b6371p-3);
  return halvings * ln2 - s * (2.0 + z * p);
}

RXPOOL_BLOCK_KERNEL
void exponentials(const std::uint32_t* words, double* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = exponential_from(words[i]);
  }
}

/// Upper halves of the products words[i] * n, in place.
RXPOOL_BLOCK_KERNEL
void scale(std::uint32_t* words, std::uint32_t n, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    words[i] = static_cast<std::uint32_t>((std::uint64_t{words[i]} * n) >> 32);
  }
}

/// Is a lower half of these products below `limit`?
RXPOOL_BLOCK_KERNEL
bool any_lower_half_below(const std::uint32_t* words, std::uint32_t n, std::uint32_t limit, std::size_t count) {
  std::uint32_t below = 0;
  for (std::size_t i = 0; i < count; ++i) {
    below |= words[i] * n < limit ? 1 : 0;
  }
  return below != 0;
}

RXPOOL_BLOCK_KERNEL
void units(const std::uint64_t* words, double* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    // The word's high 53 bits as 2^52 + high 52 bits, and half a step more for the last one.
    const double high = std::bit_cast<double>(0x3ff0000000000000 | (words[i] >> 12)) - 1.0;
    out[i] = high + static_cast<double>(static_cast<std::int32_t>(words[i] >> 11 & 1)) * 0x1p-53;
  }
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::uint32_t replication, std::string_view component_name)
    : stream_(hash_name(component_name)) {
  std::array<std::uint32_t, philox::group_words> words;
  philox::portable(seed, 0, replication, 1, words.data());
  key_ = words[0] | std::uint64_t{words[1]} << 32;
}

void RandomStream::refill() {
  generate(key_, stream_, end_ / philox::group_words, buffer_words / philox::group_words, buffer_.data());
  end_ += buffer_words;
  next_ = 0;
}

void RandomStream::seek(std::uint64_t position) {
  end_ = position - position % philox::group_words;
  refill();
  next_ = position % philox::group_words;
}

double RandomStream::next_exponential() {
  return exponential_from(next_u32());
}

void RandomStream::fill_u32(std::span<std::uint32_t> out) {
  while (!out.empty()) {
    if (next_ == buffer_words) {
      const std::size_t groups = out.size() / philox::group_words;
      if (groups > 0) {
        generate(key_, stream_, end_ / philox::group_words, groups, out.data());
        end_ += groups * philox::group_words;
        out = out.subspan(groups * philox::group_words);
        continue;
      }
      refill();
    }
    const std::size_t count = std::min(out.size(), buffer_words - next_);
    std::copy_n(buffer_.data() + next_, count, out.data());
    next_ += count;
    out = out.subspan(count);
  }
}

void RandomStream::fill_bounded(std::uint32_t n, std::span<std::uint32_t> out) {
  fill_u32(out);
  const std::uint32_t rejected = (0u - n) % n;
  if (rejected == 0 || !any_lower_half_below(out.data(), n, rejected, out.size())) {
    scale(out.data(), n, out.size());
    return;
  }
  std::size_t kept = 0;
  for (const std::uint32_t word : out) {
    const std::uint64_t product = std::uint64_t{word} * n;
    out[kept] = static_cast<std::uint32_t>(product >> 32);
    kept += static_cast<std::uint32_t>(product) < rejected ? 0 : 1;
  }
  for (; kept < out.size(); ++kept) {
    out[kept] = bounded(n);
  }
}

void RandomStream::fill_u64(std::span<std::uint64_t> out) {
  std::array<std::uint32_t, 2 * buffer_words> words;
  while (!out.empty()) {
    const std::size_t count = std::min(out.size(), words.size() / 2);
    fill_u32({words.data(), 2 * count});
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = words[2 * i] | std::uint64_t{words[2 * i + 1]} << 32;
    }
    out = out.subspan(count);
  }
}

void RandomStream::fill_unit(std::span<double> out) {
  std::array<std::uint64_t, buffer_words> words;
  while (!out.empty()) {
    const std::size_t count = std::min(out.size(), words.size());
    fill_u64({words.data(), count});
    units(words.data(), out.data(), count);
    out = out.subspan(count);
  }
}

void RandomStream::fill_exponential(std::span<double> out) {
  std::array<std::uint32_t, 2 * buffer_words> words;
  while (!out.empty()) {
    const std::size_t count = std::min(out.size(), words.size());
    fill_u32({words.data(), count});
    exponentials(words.data(), out.data(), count);
    out = out.subspan(count);
  }
}

}  // namespace rxpool
