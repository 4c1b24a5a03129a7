#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "models/memory/llc.hpp"
#include "sim/error.hpp"

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

// Touches `count` pages in turn, `rounds` times, as a ring of descriptors does; returns misses per write of the last
// round.
double miss_rate(Llc& llc, std::vector<Page>& pages, int rounds) {
  for (int round = 0; round + 1 < rounds; ++round) {
    for (Page& page : pages) {
      llc.dma_write(page);
      llc.cpu_read(page, llc.view());
    }
  }
  const std::uint64_t before = llc.stats.dma_write_misses;
  for (Page& page : pages) {
    llc.dma_write(page);
    llc.cpu_read(page, llc.view());
  }
  return static_cast<double>(llc.stats.dma_write_misses - before) / static_cast<double>(pages.size());
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

TEST_CASE("the first touch of a page misses", "[llc]") {
  Llc llc({});
  Page page{};
  CHECK(llc.dma_write(page) == certain);
  CHECK(llc.stats.dma_write_misses == 1);
  CHECK(llc.dma_write(page) == 0);
  CHECK(llc.stats.dma_write_misses == 1);
}

TEST_CASE("a line is evicted once `ways` other lines have fallen into its set", "[llc]") {
  // 15 MiB, 20 ways: 12288 sets, 192 within reach of a fixed page offset.
  Llc llc({});
  for (const int pages : {500, 3072, 3840, 8000}) {
    std::vector<Page> ring(static_cast<std::size_t>(pages));
    Llc fresh({});
    for (Page& page : ring) {
      fresh.dma_write(page);
      fresh.cpu_read(page, fresh.view());
    }
    for (Page& page : ring) page.ddio_share = 0;  // as after ordinary accesses
    Page& first = ring.front();
    const Probability miss = fresh.dma_write(first);
    CHECK(as_double(miss) == Approx(poisson_tail(pages / 192.0, 20)).margin(0.003));
  }
}

TEST_CASE("few buffers stay cached, many do not", "[llc]") {
  std::vector<Page> small(1024);
  std::vector<Page> large(20000);
  Llc quiet({});
  Llc busy({});
  CHECK(miss_rate(quiet, small, 5) < 0.001);
  CHECK(miss_rate(busy, large, 5) > 0.95);
}

TEST_CASE("DMA that misses all the time pushes its own lines out of the DDIO ways before the CPU reads them", "[llc]") {
  Llc llc({});
  std::vector<Page> pages(20000);
  std::uint64_t reads = 0;
  // The CPU is 1500 packets behind the DMA.
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < pages.size(); ++i) {
      llc.dma_write(pages[i]);
      if (i >= 1500) {
        llc.cpu_read(pages[i - 1500], llc.view());
        ++reads;
      }
    }
  }
  const double with_two = static_cast<double>(llc.stats.cpu_read_misses) / static_cast<double>(reads);
  CHECK(with_two > 0.9);  // 1500 / 192 = 7.8 allocations per set, 2 ways
  LlcParameters wide;
  wide.ddio_ways = 20;
  Llc all(wide);
  std::vector<Page> again(20000);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < again.size(); ++i) {
      all.dma_write(again[i]);
      if (i >= 1500) all.cpu_read(again[i - 1500], all.view());
    }
  }
  CHECK(static_cast<double>(all.stats.cpu_read_misses) / static_cast<double>(reads) < 0.01);
}

TEST_CASE("a read sees the cache as it was at its own time", "[llc]") {
  Llc llc({});
  Page page{};
  llc.dma_write(page);
  page.ddio_share = 0;
  const Llc::View then = llc.view();
  std::vector<Page> others(8000);
  for (Page& other : others) llc.dma_write(other);
  Page copy = page;
  CHECK(llc.cpu_read(page, then) == 0);
  CHECK(llc.cpu_read(copy, llc.view()) > certain / 2);
}

TEST_CASE("the miss counter is the sum of the probabilities, carried forward", "[llc]") {
  Llc llc({});
  std::vector<Page> pages(4096);
  double expected = 0;
  for (int round = 0; round < 10; ++round) {
    for (Page& page : pages) expected += as_double(llc.dma_write(page));
  }
  CHECK(static_cast<double>(llc.stats.dma_write_misses) == Approx(expected).margin(1));
  CHECK(llc.stats.dma_writes == 40960);
}

TEST_CASE("pollution by 64 lines over all sets counts as one page", "[llc]") {
  Llc a({});
  Llc b({});
  const std::uint32_t before = a.clock();
  for (int i = 0; i < 640; ++i) a.pollute(1);
  b.pollute(640);
  CHECK(a.clock() == before + 10);
  CHECK(b.clock() == a.clock());
}

TEST_CASE("a price is charged by its share", "[llc]") {
  CHECK(Llc::charge(nanoseconds(46), certain) == nanoseconds(46));
  CHECK(Llc::charge(nanoseconds(46), certain / 4) == picoseconds(11500));
  CHECK(Llc::charge(nanoseconds(46), 0) == Time{});
}

TEST_CASE("an impossible cache is the user's error", "[llc]") {
  CHECK_THROWS_AS(Llc({.bytes = 1000}), InputError);
  CHECK_THROWS_AS(Llc({.ways = 65}), InputError);
  CHECK_THROWS_AS(Llc({.ways = 4, .ddio_ways = 5}), InputError);
}

}  // namespace rxpool
