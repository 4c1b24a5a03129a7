#pragma once
// Counter-based random streams (Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011;
// the known answers come from Random123). A stream is keyed by (seed, replication, component name), so its numbers do
// not depend on which components exist or in which order they were made: that is what makes two policies comparable. A
// stream is a sequence of 64-bit words; every draw says how many words it takes, a block fill takes the same words as
// the single draws, and a position can be saved and returned to.

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
  std::uint64_t next_u64() {
    if (next_ == buffer_words) [[unlikely]] {
      refill();
    }
    return buffer_[next_++];
  }
  /// The high half of one word.
  std::uint32_t next_u32() { return static_cast<std::uint32_t>(next_u64() >> 32); }
  /// Uniform on [0, 1) in steps of 2^-53; one word.
  double next_unit() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }
  /// Uniform on 0 … n-1 without bias (Lemire 2019); n >= 1; one word, more with probability below n / 2^64.
  std::uint64_t bounded(std::uint64_t n);
  /// Exponential with mean 1, from log of a uniform in (0, 1] in steps of 2^-52; one word.
  double next_exponential();

  void fill_u64(std::span<std::uint64_t> out);
  void fill_unit(std::span<double> out);
  void fill_exponential(std::span<double> out);

  /// Number of words taken so far.
  std::uint64_t position() const { return base_ + next_; }
  /// Makes word number `position` the next one.
  void seek(std::uint64_t position);

 private:
  static constexpr std::size_t buffer_words = 64;
  void refill();

  std::uint64_t key_ = 0;     ///< Philox key: seed and replication
  std::uint64_t stream_ = 0;  ///< upper half of the Philox counter: component name
  std::uint64_t base_ = 0;    ///< position of buffer_[0]; a multiple of buffer_words
  std::size_t next_ = 0;
  alignas(64) std::array<std::uint64_t, buffer_words> buffer_{};
};

}  // namespace rxpool
