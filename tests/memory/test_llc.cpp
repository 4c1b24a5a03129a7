#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/memory/llc.hpp"
#include "sim/error.hpp"
#include "sim/random.hpp"
#include "tests/memory/memory_fixture.hpp"

namespace rxpool {
namespace {

double as_double(Probability p) {
  return static_cast<double>(p) / 4294967296.0;
}

double poisson_tail(double mean, int k) {
  double term = std::exp(-mean);
  double below = 0;
  for (int i = 0; i < k; ++i) {
    below += term;
    term *= mean / (i + 1);
  }
  return 1 - below;
}

constexpr std::uint64_t page_count = 1 << 16;

/// Page numbers of `count` buffers that begin at page boundaries.
std::vector<BufferId> buffers(std::uint32_t count) {
  std::vector<BufferId> made;
  for (std::uint32_t i = 1; i <= count; ++i) made.push_back(2 * i);
  return made;
}

// Touches the buffers in turn, `rounds` times, as a ring of descriptors does; returns misses per write of the last
// round.
double miss_rate(Llc& llc, const std::vector<BufferId>& ring, int rounds) {
  std::uint64_t before = 0;
  for (int round = 0; round < rounds; ++round) {
    before = llc.stats.dma_write_misses;
    for (const BufferId buffer : ring) {
      llc.dma_write(buffer);
      llc.cpu_read(buffer, llc.view());
    }
  }
  return static_cast<double>(llc.stats.dma_write_misses - before) / static_cast<double>(ring.size());
}

}  // namespace

TEST_CASE("the table is the Poisson tail", "[llc]") {
  for (const int k : {1, 2, 11, 20, 64}) {
    const PoissonTail tail(static_cast<std::uint32_t>(k));
    for (double mean = 0; mean < 100; mean += 0.37) {
      const double exact = poisson_tail(mean, k);
      const double got = as_double(tail.at(static_cast<std::uint64_t>(mean * 65536)));
      CHECK(got == Approx(exact).margin(1.0 / 500 / k));
    }
  }
  CHECK(PoissonTail(20).at(0) == 0);
  CHECK(PoissonTail(20).at(1ULL << 40) == certain);
}

TEST_CASE("the first touch of a buffer misses", "[llc]") {
  Llc llc({}, page_count);
  CHECK(llc.dma_write(2) == certain);
  CHECK(llc.stats.dma_write_misses == 1);
  CHECK(llc.dma_write(2) == 0);
  CHECK(llc.stats.dma_write_misses == 1);
}

/// A cache of 192 sets and 20 ways that replaces a random line, touched by `lines` lines in turn: share of misses.
double simulated_misses(std::uint32_t lines) {
  constexpr std::uint32_t sets = 192;
  constexpr std::uint32_t ways = 20;
  TestRandom random(lines);
  std::vector<std::uint32_t> set_of(lines);
  for (std::uint32_t& set : set_of) set = random.below(sets);
  std::vector<std::vector<std::uint32_t>> cached(sets);
  std::uint64_t misses = 0;
  constexpr int warm_up = 40;
  constexpr int rounds = 100;
  for (int round = 0; round < rounds; ++round) {
    for (std::uint32_t line = 0; line < lines; ++line) {
      std::vector<std::uint32_t>& set = cached[set_of[line]];
      if (std::find(set.begin(), set.end(), line) != set.end()) continue;
      if (round >= warm_up) ++misses;
      if (set.size() < ways) {
        set.push_back(line);
      } else {
        set[random.below(ways)] = line;
      }
    }
  }
  return static_cast<double>(misses) / (static_cast<double>(lines) * (rounds - warm_up));
}

TEST_CASE("lines that share the sets by chance are missed as often as in a cache with random replacement", "[llc]") {
  const RandomReplacement law(20);
  for (const std::uint32_t lines : {1000u, 2500u, 3072u, 3840u, 4600u, 6000u, 9000u}) {
    INFO(lines);
    const double said = as_double(law.at((std::uint64_t{lines} << 16) / 192));
    CHECK(said == Approx(simulated_misses(lines)).margin(0.03));
  }
  CHECK(law.at(0) == 0);
  CHECK(law.at(1ULL << 40) == certain);
}

TEST_CASE("a buffer's line is gone with the probability for the pages touched since", "[llc]") {
  // 15 MiB, 20 ways: 12288 sets, 192 within reach of a fixed page offset.
  const RandomReplacement law(20);
  for (const std::uint32_t pages : {500u, 3072u, 3840u, 8000u}) {
    Llc llc({}, page_count);
    for (const BufferId buffer : buffers(pages)) {
      llc.dma_write(buffer);
      llc.cpu_read(buffer, llc.view());
    }
    const double said = as_double(law.at((std::uint64_t{pages} << 16) / 192));
    CHECK(as_double(llc.dma_write(2)) == Approx(said).margin(0.01));
  }
}

TEST_CASE("a second line of a buffer counts as one more read with the same fate", "[llc]") {
  Llc llc({}, page_count);
  llc.read_second_line(certain);
  llc.read_second_line(0);
  CHECK(llc.stats.cpu_reads == 2);
  CHECK(llc.stats.cpu_read_misses == 1);
}

TEST_CASE("few buffers stay cached, many do not", "[llc]") {
  Llc quiet({}, page_count);
  Llc busy({}, page_count);
  CHECK(miss_rate(quiet, buffers(1024), 5) < 0.001);
  CHECK(miss_rate(busy, buffers(20000), 5) > 0.95);
}

TEST_CASE("the two halves of a page do not push each other out", "[llc]") {
  std::vector<BufferId> halves;
  for (BufferId i = 2; i < 2 + 2 * 2500; ++i) halves.push_back(i);
  Llc both({}, page_count);
  Llc one({}, page_count);
  const double of_both = miss_rate(both, halves, 5);
  const double of_one = miss_rate(one, buffers(5000), 5);
  CHECK(of_both < 0.2);
  CHECK(of_one > 0.4);
}

TEST_CASE("DMA that misses all the time pushes its own lines out of the DDIO ways before the CPU reads them", "[llc]") {
  // The CPU is 1500 packets behind the DMA.
  const auto read_misses = [](const LlcParameters& parameters) {
    Llc llc(parameters, page_count);
    const std::vector<BufferId> ring = buffers(20000);
    for (int round = 0; round < 3; ++round) {
      for (std::size_t i = 0; i < ring.size(); ++i) {
        llc.dma_write(ring[i]);
        if (i >= 1500) llc.cpu_read(ring[i - 1500], llc.view());
      }
    }
    return static_cast<double>(llc.stats.cpu_read_misses) / static_cast<double>(llc.stats.cpu_reads);
  };
  CHECK(read_misses({}) > 0.9);  // 1500 / 192 = 7.8 allocations per set, 2 ways
  CHECK(read_misses({.ddio_ways = 20}) < 0.01);
}

TEST_CASE("a read sees the cache as it was at its own time", "[llc]") {
  Llc llc({}, page_count);
  for (const BufferId buffer : {2u, 4u}) {
    llc.dma_write(buffer);
    llc.cpu_read(buffer, llc.view());
  }
  const Llc::View then = llc.view();
  for (const BufferId other : buffers(8000)) {
    if (other > 4) llc.dma_write(other);
  }
  CHECK(llc.cpu_read(2, then) == 0);
  CHECK(llc.cpu_read(4, llc.view()) > certain / 2);
}

TEST_CASE("the miss counter is the sum of the probabilities, carried forward", "[llc]") {
  Llc llc({}, page_count);
  double expected = 0;
  for (int round = 0; round < 10; ++round) {
    for (const BufferId buffer : buffers(4096)) expected += as_double(llc.dma_write(buffer));
  }
  CHECK(static_cast<double>(llc.stats.dma_write_misses) == Approx(expected).margin(1));
  CHECK(llc.stats.dma_writes == 40960);
}

TEST_CASE("writes in blocks do what writes one by one do, and tell when the mean moved on", "[llc]") {
  Llc one_by_one({.bytes = 1 << 20}, page_count);
  Llc in_blocks({.bytes = 1 << 20}, page_count);
  RandomStream random(11, 0, "blocks");
  std::uint64_t moved = 0;
  Time at{0};
  for (int block = 0; block < 2000; ++block) {
    std::vector<Llc::DmaWrite> writes(random.bounded(40));
    for (Llc::DmaWrite& write : writes) write = {2 + random.bounded(6000), at += Time{1}};
    for (const Llc::DmaWrite& write : writes) one_by_one.dma_write(write.buffer);
    in_blocks.dma_write_all(writes, [&](Time when) {
      ++moved;
      REQUIRE(static_cast<std::uint64_t>(when.ps) == moved * Llc::view_writes);
    });
    REQUIRE(in_blocks.stats.dma_write_misses == one_by_one.stats.dma_write_misses);
    REQUIRE(in_blocks.view().ddio_rate == one_by_one.view().ddio_rate);
  }
  CHECK(moved == one_by_one.stats.dma_writes / Llc::view_writes);
  CHECK(one_by_one.stats.dma_write_misses > 1000);
  for (const BufferId buffer : buffers(3000)) {
    REQUIRE(in_blocks.cpu_read(buffer, in_blocks.view()) == one_by_one.cpu_read(buffer, one_by_one.view()));
  }
}

TEST_CASE("a price is charged by its share", "[llc]") {
  CHECK(Llc::charge(nanoseconds(46), certain) == nanoseconds(46));
  CHECK(Llc::charge(nanoseconds(46), certain / 4) == picoseconds(11500));
  CHECK(Llc::charge(nanoseconds(46), 0) == Time{});
}

TEST_CASE("an impossible cache is the user's error", "[llc]") {
  CHECK_THROWS_AS(Llc({.bytes = 1000}, page_count), InputError);
  CHECK_THROWS_AS(Llc({.ways = 65}, page_count), InputError);
  CHECK_THROWS_AS(Llc({.ways = 4, .ddio_ways = 5}, page_count), InputError);
}

}  // namespace rxpool
