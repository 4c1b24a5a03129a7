#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "sim/histogram.hpp"
#include "sim/random.hpp"

using namespace rxpool;

TEST_CASE("quantiles are within one per cent over the whole range of Time", "[histogram]") {
  RandomStream random(1, 0, "histogram");
  std::vector<std::int64_t> values;
  Histogram histogram;
  for (int i = 0; i < 200'000; ++i) {
    values.push_back(static_cast<std::int64_t>(random.next_u64() >> (1 + random.bounded(63))));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size()))) - 1;
    const double exact = static_cast<double>(values[rank]);
    CHECK(std::fabs(static_cast<double>(histogram.quantile(q)) - exact) <= 0.01 * exact);
  }
  CHECK(histogram.quantile(0.0) == values.front());
  CHECK(histogram.quantile(1.0) == values.back());
}

TEST_CASE("one value is told within 1/128 and small values exactly", "[histogram]") {
  for (std::int64_t v = 0; v < 128; ++v) {
    Histogram histogram;
    histogram.record(v, 3);
    histogram.record(std::int64_t{1} << 40);
    CHECK(histogram.quantile(0.5) == v);
  }
  RandomStream random(1, 0, "single");
  for (int i = 0; i < 500; ++i) {
    Histogram histogram;
    const auto v = static_cast<std::int64_t>(random.next_u64() >> (1 + random.bounded(63)));
    histogram.record(std::int64_t{0});
    histogram.record(v, 2);
    histogram.record(Time::never());
    const double distance = std::fabs(static_cast<double>(histogram.quantile(0.6)) - static_cast<double>(v));
    REQUIRE(distance <= static_cast<double>(v) / 128.0);
  }
}

TEST_CASE("the mean is that of the values, not of the buckets", "[histogram]") {
  Histogram histogram;
  histogram.record(std::int64_t{1'000'001});
  histogram.record(std::int64_t{1'000'004}, 2);
  CHECK(histogram.mean() == 1'000'003.0);
  CHECK(histogram.count() == 3);
  CHECK(histogram.min() == 1'000'001);
  CHECK(histogram.max() == 1'000'004);
}

TEST_CASE("merging in any order gives the histogram of all values", "[histogram]") {
  RandomStream random(1, 0, "merge");
  Histogram all;
  Histogram parts[3];
  for (int i = 0; i < 9'000; ++i) {
    const auto v = static_cast<std::int64_t>(random.next_u64() >> (1 + random.bounded(63)));
    all.record(v);
    parts[i % 3].record(v);
  }
  Histogram forward;
  Histogram backward;
  for (int i = 0; i < 3; ++i) {
    forward.merge(parts[i]);
    backward.merge(parts[2 - i]);
  }
  CHECK(forward == all);
  CHECK(backward == all);
}

TEST_CASE("an empty histogram answers zero, a negative value counts as zero", "[histogram]") {
  Histogram histogram;
  CHECK(histogram.quantile(0.5) == 0);
  CHECK(histogram.mean() == 0.0);
  CHECK(histogram.min() == 0);
  CHECK(histogram.max() == 0);
  histogram.record(std::int64_t{-5});
  CHECK(histogram.count() == 1);
  CHECK(histogram.max() == 0);
}

TEST_CASE("a block of values is recorded as one by one") {
  RandomStream random(5, 0, "values");
  Histogram one_by_one;
  Histogram in_blocks;
  for (int block = 0; block < 200; ++block) {
    std::vector<std::int64_t> values(random.bounded(65));
    for (std::int64_t& value : values) value = static_cast<std::int64_t>(random.next_u64() >> (1 + random.bounded(63)));
    for (const std::int64_t value : values) one_by_one.record(value);
    in_blocks.record_all(values);
    REQUIRE(in_blocks == one_by_one);
  }
}
