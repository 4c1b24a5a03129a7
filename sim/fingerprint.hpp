#pragma once
// An order-independent digest of a trajectory: records are mixed one by one and added up, so it does not depend on how
// the work was cut into batches. Two sums of different mixes make an accidental match of different sets unlikely.

#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

class Fingerprint {
 public:
  /// One packet that reached its end (or the end of the run).
  void packet(std::uint64_t id, std::uint32_t queue, Time arrival, std::uint32_t verdict, Time completion) {
    add(id ^ (std::uint64_t{queue} << 32 | verdict), static_cast<std::uint64_t>(arrival.ps),
        static_cast<std::uint64_t>(completion.ps));
  }
  /// One page event of a component: what happened, the how-manieth, when.
  void page(std::uint32_t component, std::uint32_t what, std::uint64_t count, Time at) {
    add(std::uint64_t{component} << 32 | what, count, static_cast<std::uint64_t>(at.ps));
  }
  void merge(const Fingerprint& other) {
    first_ += other.first_;
    second_ += other.second_;
  }
  std::uint64_t value() const { return fold(first_ ^ 0x9e3779b97f4a7c15, second_ | 1); }

 private:
  __extension__ using Wide = unsigned __int128;
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const Wide product = Wide{a} * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  void add(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    const std::uint64_t x = fold(a ^ 0xa0761d6478bd642f, b ^ 0xe7037ed1a0b428db);
    const std::uint64_t y = fold(x ^ 0x8ebc6af09c88c6e3, c ^ 0x589965cc75374cc3);
    first_ += y;
    second_ += x ^ (y >> 32);
  }

  std::uint64_t first_ = 0;
  std::uint64_t second_ = 0;
};

}  // namespace rxpool
