#pragma once
// The last-level cache as seen by packet buffers. A line at a fixed offset of a 4 KiB page reaches only 1/64 of the
// sets. Other pages' lines fall into these sets by chance (Poisson); a set with no more lines than ways loses none, and
// a fuller one, whose replacement is as good as random, loses each between two touches with the probability at which as
// many come back as are lost. Buffers of half a page begin at two offsets,
// which do not compete. A DMA write updates a line that is cached and otherwise allocates in the DDIO ways only, where
// just the other DMA allocations push it out, until a CPU reads it. Expected values, not draws: a probability is
// charged as that share of a miss, and the miss counter carries the rest forward. Left out: slices, the private
// caches, prefetch, what others than this NIC touch. Figures it must explain: XP-14, XP-19, DD-1.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "models/memory/reserved_memory.hpp"
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

/// Probability that a line is gone when it is touched again, by the mean number of other lines that were touched in its
/// set meanwhile; a table made at construction, linear in between.
class RandomReplacement {
 public:
  explicit RandomReplacement(std::uint32_t ways);
  /// mean in 1/2^16.
  Probability at(std::uint64_t mean_q16) const {
    const std::uint64_t index = mean_q16 >> step_shift;
    if (index + 1 >= table_.size()) return certain;
    const std::uint64_t fraction = mean_q16 & ((1ULL << step_shift) - 1);
    return table_[index] + (((table_[index + 1] - table_[index]) * fraction) >> step_shift);
  }

 private:
  static constexpr unsigned step_shift = 15;  ///< entries every 1/2
  std::vector<Probability> table_;
};

/// Where an RX buffer begins, in halves of a page: page number * 2, + 1 for the second half. 0 is no buffer.
using BufferId = std::uint32_t;

class Llc {
 public:
  /// For buffers in the page frames [0, page_count).
  Llc(const LlcParameters& parameters, std::uint64_t page_count);

  /// The NIC writes the packet line of a buffer. Returns the probability that it was not cached.
  Probability dma_write(BufferId buffer) {
    const Probability miss = write(now_, buffer);
    written(1, miss);
    return miss;
  }
  struct DmaWrite {
    BufferId buffer;
    Time at;
  };
  /// The buffer will be written soon: its record is brought into the host's cache.
  void expect_write(BufferId buffer) const { __builtin_prefetch(&lines_[buffer], 1); }
  /// dma_write() of each buffer in turn; calls `view_moved(at)` after every write that moved the view's mean on.
  template <typename ViewMoved>
  void dma_write_all(std::span<const DmaWrite> writes, ViewMoved&& view_moved) {
    while (!writes.empty()) {
      const std::size_t to_next_view = view_writes - stats.dma_writes % view_writes;
      const std::span<const DmaWrite> run = writes.first(std::min(writes.size(), to_next_view));
      View now = now_;
      Probability misses = 0;
      for (const DmaWrite& one : run) misses += write(now, one.buffer);
      now_ = now;
      written(run.size(), misses);
      if (run.size() == to_next_view) view_moved(run.back().at);
      writes = writes.subspan(run.size());
    }
  }

  /// The mean moves on every so many DMA writes, so that none of them has to wait for the one before.
  static constexpr std::int64_t view_writes = 16;
  /// How far the cache has come at some instant. DMA is simulated ahead of the CPUs: a read has to see the cache as it
  /// was at its own time.
  struct View {
    std::uint64_t clock[2] = {never_ago, never_ago};  ///< lines touched at the begin of each half of the pages
    std::int64_t ddio_rate = 0;                       ///< moving mean of the probability of a DMA allocation
  };
  const View& view() const { return now_; }

  /// A CPU reads it. Returns the probability of a miss; the line then sits in an ordinary way.
  Probability cpu_read(BufferId buffer, const View& seen) {
    Line& line = lines_[buffer];
    const std::uint64_t clock = std::max(seen.clock[buffer & 1], line.clock());
    const Probability miss = evicted(line.ddio_share(), clock - line.clock(), seen.ddio_rate);
    line.touch(clock, 0);
    ++stats.cpu_reads;
    carry(miss, cpu_carry_, stats.cpu_read_misses);
    return miss;
  }

  /// A CPU goes on to another line that belongs to the buffer (its frame record, its page's): it shared the fate of the
  /// one just read, which was missed with this probability.
  void read_second_line(Probability miss) {
    ++stats.cpu_reads;
    carry(miss, cpu_carry_, stats.cpu_read_misses);
  }

  /// Share of a price: expected cost of one access that misses with this probability.
  static Time charge(Time price, Probability miss) {
    return Time{(price.ps * static_cast<std::int64_t>(miss >> 12)) >> 20};
  }

  LlcStats stats;

 private:
  static constexpr std::uint64_t never_ago = 1ULL << 32;  ///< beyond the end of every table
  static constexpr unsigned rate_window_shift = 10;

  /// Clock at the last touch, and probability (of 65535) of sitting in a DDIO way; 0: never touched. A line belongs to
  /// the NIC from post to completion and to the CPU from there to the next post, so that DMA simulated ahead of the
  /// CPUs finds every line as they left it.
  struct Line {
    std::uint64_t word;
    std::uint64_t clock() const { return word >> 16; }
    std::uint64_t ddio_share() const { return word & 0xffff; }
    void touch(std::uint64_t clock, std::uint64_t ddio_share) { word = clock << 16 | ddio_share; }
  };

  /// The tails are looked up by distance in steps of 8 pages, which is far below what separates two ring sizes.
  Probability evicted(std::uint64_t ddio_share, std::uint64_t distance, std::int64_t ddio_rate) const {
    const Probability ordinary = ordinary_.at(distance >> distance_shift);
    const std::uint64_t ddio_distance = (distance * static_cast<std::uint64_t>(ddio_rate >> 16)) >> 16;
    const Probability in_ddio = std::max(ordinary, ddio_.at(ddio_distance >> distance_shift));
    return ordinary + (((in_ddio - ordinary) >> 16) * ddio_share);
  }
  Probability write(View& now, BufferId buffer) {
    Line& line = lines_[buffer];
    std::uint64_t& clock = now.clock[buffer & 1];
    const std::uint64_t share = line.ddio_share();
    const Probability miss = evicted(share, clock - line.clock(), now.ddio_rate);
    // What was cached stays in its way; what was not goes to a DDIO way.
    line.touch(++clock, share + ((miss * (65535 - share)) >> 32));
    return miss;
  }
  /// Counts writes, none beyond the next step of the mean; `misses` is the sum of their probabilities.
  void written(std::uint64_t count, Probability misses) {
    carry(misses, dma_carry_, stats.dma_write_misses);
    recent_misses_ += misses;
    stats.dma_writes += count;
    if (stats.dma_writes % view_writes == 0) {
      now_.ddio_rate += (static_cast<std::int64_t>(recent_misses_) - view_writes * now_.ddio_rate) >> rate_window_shift;
      recent_misses_ = 0;
    }
  }
  static void carry(Probability miss, std::uint64_t& rest, std::uint64_t& counter) {
    rest += miss;
    counter += rest >> 32;
    rest &= certain - 1;
  }

  /// By distance; beyond its end as at its end.
  struct Table {
    std::vector<Probability> entries;
    std::uint64_t last = 0;
    Probability at(std::uint64_t index) const { return entries[std::min(index, last)]; }
  };

  static constexpr unsigned distance_shift = 3;
  Table ordinary_;  ///< probability of being gone by pages touched since
  Table ddio_;      ///< the same in the DDIO ways: P[at least `ddio_ways` other allocations in the set]
  ReservedMemory memory_;
  Line* lines_;  ///< by buffer
  View now_;
  std::uint64_t recent_misses_ = 0;  ///< sum of the probabilities since the view moved on
  std::uint64_t dma_carry_ = 0;
  std::uint64_t cpu_carry_ = 0;
};

}  // namespace rxpool
