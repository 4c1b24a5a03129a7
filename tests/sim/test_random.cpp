#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "sim/philox.hpp"
#include "sim/random.hpp"

using rxpool::RandomStream;
namespace philox = rxpool::philox;

TEST_CASE("Philox gives the known answers of Random123", "[random]") {
  // kat_vectors of Random123: philox4x32 10, counter and key 0.
  std::vector<std::uint32_t> words(philox::group_words);
  philox::portable(0, 0, 0, 1, words.data());
  CHECK(words[0] == 0x6627e8d5);
  CHECK(words[1] == 0xe169c58d);
  CHECK(words[16] == 0xbc57ac4c);
  CHECK(words[17] == 0x9b00dbd8);
}

TEST_CASE("the vector versions of Philox give the portable one's words", "[random]") {
  constexpr std::size_t groups = 37;
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{0x1fffffff}, std::uint64_t{0x123456789abcde}}) {
    std::vector<std::uint32_t> expected(groups * philox::group_words);
    philox::portable(0xfedcba9876543210, 0x0f1e2d3c4b5a6978, first, groups, expected.data());
    for (const philox::Generate version : {philox::avx2(), philox::avx512()}) {
      if (version == nullptr) {
        WARN("this CPU lacks AVX2 or AVX-512: that version is not compared");
        continue;
      }
      std::vector<std::uint32_t> words(expected.size());
      version(0xfedcba9876543210, 0x0f1e2d3c4b5a6978, first, groups, words.data());
      CHECK(words == expected);
    }
  }
}

TEST_CASE("a stream depends on seed, replication and name alone", "[random]") {
  RandomStream a(1, 0, "nics.nic0");
  RandomStream other(1, 0, "nics.nic1");
  other.next_u32();
  RandomStream again(1, 0, "nics.nic0");
  RandomStream next_replication(1, 1, "nics.nic0");
  RandomStream next_seed(2, 0, "nics.nic0");
  int same_name = 0;
  int same_replication = 0;
  int same_seed = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint32_t word = a.next_u32();
    REQUIRE(word == again.next_u32());
    same_name += word == other.next_u32();
    same_replication += word == next_replication.next_u32();
    same_seed += word == next_seed.next_u32();
  }
  CHECK(same_name + same_replication + same_seed == 0);
}

TEST_CASE("block fills of any length give the values of single draws", "[random]") {
  RandomStream single(5, 2, "blocks");
  RandomStream blocks(5, 2, "blocks");
  for (const std::size_t length : {1u, 31u, 32u, 127u, 128u, 129u, 1000u, 3u}) {
    std::vector<std::uint32_t> words(length);
    blocks.fill_u32(words);
    for (const std::uint32_t word : words) {
      REQUIRE(word == single.next_u32());
    }
    std::vector<std::uint64_t> wide(length);
    blocks.fill_u64(wide);
    for (const std::uint64_t word : wide) {
      REQUIRE(word == single.next_u64());
    }
    std::vector<double> exponentials(length);
    blocks.fill_exponential(exponentials);
    for (const double value : exponentials) {
      REQUIRE(std::bit_cast<std::uint64_t>(value) == std::bit_cast<std::uint64_t>(single.next_exponential()));
    }
    std::vector<double> units(length);
    blocks.fill_unit(units);
    for (const double value : units) {
      REQUIRE(value == single.next_unit());
    }
    std::vector<std::uint32_t> numbers(length);
    for (const std::uint32_t n : {1u, 10'000u, 0xc0000000u}) {  // the last one rejects every fourth word
      blocks.fill_bounded(n, numbers);
      for (const std::uint32_t number : numbers) {
        REQUIRE(number == single.bounded(n));
      }
    }
    REQUIRE(blocks.position() == single.position());
  }
}

TEST_CASE("a stream returns to a saved position", "[random]") {
  RandomStream random(5, 2, "seek");
  CHECK(random.position() == 0);
  for (int i = 0; i < 777; ++i) {
    random.next_u32();
  }
  const std::uint64_t position = random.position();
  CHECK(position == 777);
  std::vector<std::uint32_t> first(300);
  random.fill_u32(first);
  random.seek(position);
  CHECK(random.position() == position);
  std::vector<std::uint32_t> second(300);
  random.fill_u32(second);
  CHECK(first == second);
}

TEST_CASE("bounded numbers are uniform", "[random]") {
  RandomStream random(11, 0, "bounded");
  for (const std::uint32_t n : {1u, 2u, 3u, 7u, 100u}) {
    std::vector<int> counts(n);
    const int draws = 100'000;
    for (int i = 0; i < draws; ++i) {
      const std::uint32_t value = random.bounded(n);
      REQUIRE(value < n);
      ++counts[value];
    }
    double chi_square = 0;
    const double expected = static_cast<double>(draws) / n;
    for (const int count : counts) {
      chi_square += (count - expected) * (count - expected) / expected;
    }
    const double freedom = n - 1.0;
    CHECK(chi_square <= freedom + 4.0 * std::sqrt(2.0 * freedom));
  }
  // Without the rejection step the lower half would come up half as often again as the upper one.
  const std::uint32_t n = 0xc0000000;
  int low = 0;
  for (int i = 0; i < 100'000; ++i) {
    low += random.bounded(n) % 3 == 0;
  }
  CHECK(std::abs(low - 33'333) < 600);
}

TEST_CASE("exponential draws follow their law", "[random]") {
  RandomStream random(3, 0, "exponential");
  std::vector<double> values(400'000);
  random.fill_exponential(values);
  double sum = 0;
  double squares = 0;
  for (const double v : values) {
    sum += v;
    squares += v * v;
  }
  const double n = static_cast<double>(values.size());
  CHECK(std::fabs(sum / n - 1.0) < 4.0 / std::sqrt(n));
  CHECK(std::fabs(squares / n - 2.0) < 4.0 * std::sqrt(20.0 / n));
  std::sort(values.begin(), values.end());
  CHECK(values.front() >= 0.0);
  double distance = 0;  // Kolmogorov-Smirnov; 1.63 / sqrt(n) is its 1 % point
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double law = -std::expm1(-values[i]);
    distance = std::max({distance, law - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - law});
  }
  CHECK(distance < 1.63 / std::sqrt(n));
}

TEST_CASE("an exponential draw is -log of its word to 2e-11", "[random]") {
  RandomStream words(3, 1, "log");
  RandomStream draws(3, 1, "log");
  for (int i = 0; i < 100'000; ++i) {
    const long double u = (static_cast<long double>(words.next_u32()) + 0.5L) / 4294967296.0L;
    const double exact = static_cast<double>(-std::log(u));
    const double value = draws.next_exponential();
    REQUIRE(std::fabs(value - exact) <= 2e-11 * exact + 4e-15);
  }
}

TEST_CASE("the words and draws of a stream are those of every other build", "[random][fingerprint]") {
  RandomStream random(1, 0, "traffic.flood");
  std::vector<double> values(10'000);
  random.fill_exponential(values);
  std::uint64_t hash = 0;
  for (const double v : values) {
    hash = (hash ^ std::bit_cast<std::uint64_t>(v)) * 0x100000001b3;
  }
  CHECK(hash == 0x459e26534f53895e);
}
