#pragma once
// The last-level cache as seen by packet buffers. A line at a fixed offset of a 4 KiB page reaches only 1/64 of the
// sets; it is gone once at least `ways` other lines have fallen into its set since its last touch, which is a Poisson
// tail in the number of other pages touched meanwhile. A DMA write updates a line that is cached and otherwise
// allocates in the DDIO ways only, where just the other DMA allocations push it out, until a CPU reads it. Expected
// values, not draws: a probability is charged as that share of a miss, and the miss counter carries the rest forward.
// Left out: slices, replacement other than LRU, the private caches, prefetch. Figures it must explain: XP-14, XP-19,
// DD-1.

#include <cstdint>
#include <vector>

#include "models/memory/page.hpp"
#include "sim/time.hpp"

namespace rxpool {

struct LlcParameters {
  std::uint64_t bytes = 15ULL << 20;
  std::uint32_t ways = 20;
  std::uint32_t ddio_ways = 2;

  /// Throws InputError.
  void validate() const;
};

struct LlcStats {
  std::uint64_t dma_writes = 0;
  std::uint64_t dma_write_misses = 0;  ///< line was not cached: allocated in a DDIO way ("PCIe write miss")
  std::uint64_t cpu_reads = 0;
  std::uint64_t cpu_read_misses = 0;
};

/// Probability in 1/2^32; 2^32 itself is certainty.
using Probability = std::uint64_t;
inline constexpr Probability certain = 1ULL << 32;

/// P[Poisson(mean) >= k] from a table made at construction, linear in between; no libm.
class PoissonTail {
 public:
  explicit PoissonTail(std::uint32_t k);
  /// mean in 1/2^16.
  Probability at(std::uint64_t mean_q16) const {
    const std::uint64_t index = mean_q16 >> step_shift;
    if (index + 1 >= table_.size()) {
      return certain;
    }
    const std::uint64_t fraction = mean_q16 & ((1ULL << step_shift) - 1);
    return table_[index] + (((table_[index + 1] - table_[index]) * fraction) >> step_shift);
  }

 private:
  static constexpr unsigned step_shift = 13;  ///< entries every 1/8
  std::vector<Probability> table_;
};

class Llc {
 public:
  explicit Llc(const LlcParameters& parameters);

  /// The NIC writes the page's packet line. Returns the probability that the line was not cached.
  Probability dma_write(Page& page) {
    const std::uint32_t distance = clock_ - page.touch_stamp;
    const Probability miss = page.touch_stamp == 0 ? certain : evicted(page, distance, recent_ddio_rate_);
    stamp(page);
    // What was cached stays in its way; what was not goes to a DDIO way.
    page.ddio_share = static_cast<std::uint16_t>((page.ddio_share * (certain - miss) + 65535 * miss) >> 32);
    recent_ddio_rate_ += (static_cast<std::int64_t>(miss) - recent_ddio_rate_) / rate_window;
    ++stats.dma_writes;
    carry(miss, dma_carry_, stats.dma_write_misses);
    return miss;
  }

  /// How far the cache has come at some instant. DMA is simulated ahead of the CPUs: a read has to see the cache as it
  /// was at its own time.
  struct View {
    std::uint32_t clock = 1;
    std::int64_t ddio_rate = 0;
  };
  View view() const { return {clock_, recent_ddio_rate_}; }

  /// A CPU reads it. Returns the probability of a miss; the line then sits in an ordinary way.
  Probability cpu_read(Page& page, const View& seen) {
    const auto ahead = static_cast<std::int32_t>(seen.clock - page.touch_stamp);
    const std::uint32_t distance = ahead > 0 ? static_cast<std::uint32_t>(ahead) : 0;
    const Probability miss = page.touch_stamp == 0 ? certain : evicted(page, distance, seen.ddio_rate);
    if (ahead > 0) page.touch_stamp = seen.clock;
    page.ddio_share = 0;
    ++stats.cpu_reads;
    carry(miss, cpu_carry_, stats.cpu_read_misses);
    return miss;
  }

  /// Lines touched by others, spread over all sets (skb heads, sockets, applications).
  void pollute(std::uint32_t lines) {
    pollution_ += lines;
    clock_ += pollution_ / 64;
    pollution_ %= 64;
  }

  /// Share of a price: expected cost of one access that misses with this probability.
  static Time charge(Time price, Probability miss) {
    return Time{(price.ps * static_cast<std::int64_t>(miss >> 12)) >> 20};
  }

  std::uint32_t clock() const { return clock_; }
  LlcStats stats;

 private:
  static constexpr std::int64_t rate_window = 1024;

  void stamp(Page& page) {
    if (++clock_ == 0) {
      clock_ = 1;
    }
    page.touch_stamp = clock_;
  }
  /// The tails are looked up by distance in steps of 8 pages, which is far below what separates two ring sizes.
  Probability evicted(const Page& page, std::uint32_t distance, std::int64_t ddio_rate) const {
    const std::uint64_t ordinary = by_distance(ordinary_, distance >> distance_shift);
    if (page.ddio_share == 0) return ordinary;
    const std::uint64_t ddio_distance = (distance * static_cast<std::uint64_t>(ddio_rate >> 16)) >> 16;
    const std::uint64_t in_ddio = by_distance(ddio_, ddio_distance >> distance_shift);
    return in_ddio <= ordinary ? ordinary : ordinary + (((in_ddio - ordinary) >> 16) * page.ddio_share);
  }
  static Probability by_distance(const std::vector<Probability>& table, std::uint64_t index) {
    return table[index < table.size() ? index : table.size() - 1];
  }
  static void carry(Probability miss, std::uint64_t& rest, std::uint64_t& counter) {
    rest += miss;
    counter += rest >> 32;
    rest &= certain - 1;
  }

  static constexpr unsigned distance_shift = 3;
  std::vector<Probability> ordinary_;  ///< P[at least `ways` other lines in the set] by pages touched since
  std::vector<Probability> ddio_;      ///< the same for `ddio_ways`
  std::uint32_t clock_ = 1;            ///< pages touched at the packet line's offset
  std::uint32_t pollution_ = 0;
  std::int64_t recent_ddio_rate_ = 0;  ///< moving mean of the probability of a DMA allocation
  std::uint64_t dma_carry_ = 0;
  std::uint64_t cpu_carry_ = 0;
};

}  // namespace rxpool
