#include "sim/metrics.hpp"

#include <utility>

#include "sim/error.hpp"

namespace rxpool {
namespace {

struct Quantile {
  const char* suffix;
  double q;
};
constexpr Quantile quantiles[] = {{"_p50", 0.5}, {"_p90", 0.9}, {"_p99", 0.99}, {"_p99_9", 0.999}, {"_p99_99", 0.9999}};

/// A count per second, or picoseconds spent in percent, over a span of simulated time.
double in_time(bool rate, double amount, Time span) {
  if (span.ps <= 0) return 0;
  return amount / static_cast<double>(span.ps) * (rate ? 1e12 : 100);
}

}  // namespace

MetricRegistry::Entry& MetricRegistry::add(std::string component, std::string_view metric, MetricKind kind, Form form) {
  for (const MetricDefinition& definition : table_) {
    if (definition.name != metric || definition.kind != kind) continue;
    Entry& entry = entries_.emplace_back();
    entry.component = std::move(component);
    entry.definition = &definition;
    entry.form = form;
    return entry;
  }
  throw BugError("metrics: \"" + std::string(metric) + "\" is not declared with this kind");
}

void MetricRegistry::counter(std::string component, std::string_view metric, const std::uint64_t* value) {
  add(std::move(component), metric, MetricKind::counter, Form::counter).counters = {value, 1};
}

void MetricRegistry::counter(std::string component, std::string_view metric, std::function<std::uint64_t()> read) {
  add(std::move(component), metric, MetricKind::counter, Form::counter).read = std::move(read);
}

void MetricRegistry::gauge(std::string component, std::string_view metric, Gauge* gauge) {
  add(std::move(component), metric, MetricKind::level, Form::gauge).gauge = gauge;
}

void MetricRegistry::latency(std::string component, std::string_view metric, Histogram* histogram) {
  add(std::move(component), metric, MetricKind::level, Form::latency).histogram = histogram;
}

void MetricRegistry::level(std::string component, std::string_view metric, std::function<double()> read) {
  add(std::move(component), metric, MetricKind::level, Form::level).level = std::move(read);
}

void MetricRegistry::rate(std::string component, std::string_view metric, const std::uint64_t* count) {
  add(std::move(component), metric, MetricKind::derived, Form::rate).counters = {count, 1};
}

void MetricRegistry::share(std::string component, std::string_view metric, std::span<const std::uint64_t> spent_ps) {
  add(std::move(component), metric, MetricKind::derived, Form::share).counters = spent_ps;
}

std::uint64_t MetricRegistry::Entry::count() const {
  if (read) return read();
  std::uint64_t total = 0;
  for (const std::uint64_t counter : counters) total += counter;
  return total;
}

void MetricRegistry::cut(Time now) {
  cut_ = last_sample_ = now;
  for (Entry& entry : entries_) {
    entry.at_cut = entry.at_sample = entry.count();
    if (entry.form == Form::gauge) entry.gauge->cut(now);
    if (entry.form == Form::latency) entry.histogram->clear();
  }
}

void MetricRegistry::reserve_samples(std::size_t samples) {
  sample_times_.reserve(samples);
  for (Entry& entry : entries_) {
    if (entry.form == Form::latency) continue;
    entry.series = series_.size();
    Series& series = series_.emplace_back();
    series.component = &entry.component;
    series.metric = entry.definition->name;
    series.unit = entry.definition->unit;
    series.value.reserve(samples);
  }
}

void MetricRegistry::sample(Time now) {
  for (Entry& entry : entries_) {
    if (entry.series == no_series) continue;
    double value = 0;
    if (entry.read || !entry.counters.empty()) {
      const std::uint64_t count = entry.count();
      value = static_cast<double>(count - entry.at_sample);
      if (entry.form != Form::counter) value = in_time(entry.form == Form::rate, value, now - last_sample_);
      entry.at_sample = count;
    } else if (entry.form == Form::gauge) {
      value = static_cast<double>(entry.gauge->level());
    } else {
      value = entry.level();
    }
    series_[entry.series].value.push_back(value);
  }
  sample_times_.push_back(now);
  last_sample_ = now;
}

std::vector<MetricRegistry::Value> MetricRegistry::values(Time now) const {
  std::vector<Value> values;
  for (const Entry& entry : entries_) {
    const std::string name(entry.definition->name);
    const std::string_view unit = entry.definition->unit;
    const auto put = [&](std::string metric, double value) {
      values.push_back({&entry.component, std::move(metric), unit, value});
    };
    switch (entry.form) {
      case Form::counter:
        put(name, static_cast<double>(entry.count() - entry.at_cut));
        break;
      case Form::rate:
      case Form::share:
        put(name, in_time(entry.form == Form::rate, static_cast<double>(entry.count() - entry.at_cut), now - cut_));
        break;
      case Form::gauge:
        put(name + "_mean", entry.gauge->mean(now));
        put(name + "_max", static_cast<double>(entry.gauge->max()));
        break;
      case Form::latency: {
        if (entry.histogram->count() == 0) break;
        constexpr double ps_per_ns = 1000;
        for (const Quantile& quantile : quantiles) {
          put(name + quantile.suffix, static_cast<double>(entry.histogram->quantile(quantile.q)) / ps_per_ns);
        }
        put(name + "_max", static_cast<double>(entry.histogram->max()) / ps_per_ns);
        put(name + "_mean", entry.histogram->mean() / ps_per_ns);
        break;
      }
      case Form::level:
        put(name, entry.level());
        break;
    }
  }
  return values;
}

}  // namespace rxpool
