#pragma once
// Metrics: a component keeps plain integers and registers where they are; the registry reads them at the end of
// warm-up, at each sample and at the end. What a metric is (name, unit, meaning, kernel source) is declared once in a
// table that the host passes in; documentation, Parquet files and the kernel backend read the same table.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/gauge.hpp"
#include "sim/histogram.hpp"
#include "sim/time.hpp"

namespace rxpool {

enum class MetricKind : std::uint8_t {
  counter,  ///< only grows; reported from the end of warm-up on
  level,    ///< a present value
  derived,  ///< a counter related to simulated time
};

struct MetricDefinition {
  std::string_view name;
  std::string_view unit;
  MetricKind kind;
  std::string_view meaning;
  std::string_view source;  ///< kernel file or counter, driver document, or "rxpool"
};

class MetricRegistry {
 public:
  explicit MetricRegistry(std::span<const MetricDefinition> table) : table_(table) {}

  /// All throw BugError for a name that the table does not declare with that kind.
  void counter(std::string component, std::string_view metric, const std::uint64_t* value);
  /// A counter whose place may change.
  void counter(std::string component, std::string_view metric, std::function<std::uint64_t()> read);
  /// Reports <metric>_mean, <metric>_max and, in series, <metric>.
  void gauge(std::string component, std::string_view metric, Gauge* gauge);
  /// Reports <metric>_p50, _p90, _p99, _p99_9, _p99_99, _max, _mean in the unit of the table; values in picoseconds.
  void latency(std::string component, std::string_view metric, Histogram* histogram);
  /// A level read at samples and at the end.
  void level(std::string component, std::string_view metric, std::function<double()> read);
  /// A counter per second of simulated time.
  void rate(std::string component, std::string_view metric, const std::uint64_t* count);
  /// Picoseconds spent, summed over `spent`, in percent of simulated time.
  void share(std::string component, std::string_view metric, std::span<const std::uint64_t> spent_ps);

  /// End of warm-up: counters are reported from here on, gauges keep their level, histograms start anew.
  void cut(Time now);
  /// One sample of every counter (difference to the last sample), gauge and level, in registration order.
  void sample(Time now);
  void reserve_samples(std::size_t samples);

  struct Value {
    const std::string* component;
    std::string metric;
    std::string_view unit;
    double value;
  };
  std::vector<Value> values(Time now) const;

  struct Series {
    const std::string* component;
    std::string_view metric;
    std::string_view unit;
    std::vector<double> value;
  };
  const std::vector<Series>& series() const { return series_; }
  const std::vector<Time>& sample_times() const { return sample_times_; }

 private:
  enum class Form : std::uint8_t { counter, rate, share, gauge, latency, level };
  struct Entry {
    std::string component;
    const MetricDefinition* definition;
    Form form;
    std::span<const std::uint64_t> counters;
    std::function<std::uint64_t()> read;  ///< instead of `counters`
    std::uint64_t at_cut = 0;
    std::uint64_t at_sample = 0;
    Gauge* gauge = nullptr;
    Histogram* histogram = nullptr;
    std::function<double()> level;
    std::size_t series = no_series;

    std::uint64_t count() const;
  };
  static constexpr std::size_t no_series = ~std::size_t{0};
  Entry& add(std::string component, std::string_view metric, MetricKind kind, Form form);

  std::span<const MetricDefinition> table_;
  std::vector<Entry> entries_;
  std::vector<Series> series_;
  std::vector<Time> sample_times_;
  Time cut_{0};
  Time last_sample_{0};
};

}  // namespace rxpool
