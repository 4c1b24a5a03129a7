#pragma once
// Counter-based random streams over Philox (sim/philox.hpp). A stream is keyed by (seed, replication, component name),
// so its numbers do not depend on which components exist or in which order they were made: that is what makes two
// policies comparable. A stream is one sequence of 32-bit words; every draw says how many it takes, a block fill of n
// takes the words of n single draws and gives the same values, and a position can be saved and returned to.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace rxpool {

class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::uint32_t replication, std::string_view component_name);

  /// One word.
  std::uint32_t next_u32() {
    if (next_ == buffer_words) [[unlikely]] {
      refill();
    }
    return buffer_[next_++];
  }
  /// Two words, the lower half first.
  std::uint64_t next_u64() {
    const std::uint64_t low = next_u32();
    return low | std::uint64_t{next_u32()} << 32;
  }
  /// Uniform on [0, 1) in steps of 2^-53; two words.
  double next_unit() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }
  /// Uniform on 0 … n-1 without bias (Lemire, "Fast random integer generation in an interval", 2019); n >= 1. One word,
  /// and another with probability below n / 2^32.
  std::uint32_t bounded(std::uint32_t n) {
    std::uint64_t product = std::uint64_t{next_u32()} * n;
    if (static_cast<std::uint32_t>(product) < n) [[unlikely]] {
      const std::uint32_t rejected = (0u - n) % n;
      while (static_cast<std::uint32_t>(product) < rejected) {
        product = std::uint64_t{next_u32()} * n;
      }
    }
    return static_cast<std::uint32_t>(product >> 32);
  }
  /// Exponential with mean 1: -log(u), u = (word + 1/2) / 2^32, so at most 22.9; relative error below 2e-11. One word.
  double next_exponential();

  void fill_u32(std::span<std::uint32_t> out);
  void fill_bounded(std::uint32_t n, std::span<std::uint32_t> out);
  void fill_u64(std::span<std::uint64_t> out);
  void fill_unit(std::span<double> out);
  void fill_exponential(std::span<double> out);

  /// Number of words taken so far.
  std::uint64_t position() const { return end_ - (buffer_words - next_); }
  /// Makes word number `position` the next one.
  void seek(std::uint64_t position);

 private:
  static constexpr std::size_t buffer_words = 128;
  void refill();

  std::uint64_t key_ = 0;     ///< Philox key: from seed and replication
  std::uint64_t stream_ = 0;  ///< upper half of the Philox counter: from the component's name
  std::uint64_t end_ = 0;     ///< position behind the last word of the buffer; a multiple of a Philox group
  std::size_t next_ = buffer_words;
  alignas(64) std::array<std::uint32_t, buffer_words> buffer_{};
};

}  // namespace rxpool
