#include "models/host/control_metrics.hpp"

#include <limits>

namespace rxpool {
namespace {

double ms_between(Time from, Time to) {
  if (from == Time::never() || to == Time::never()) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>((to - from).ps) * 1e-9;
}

void register_detector(MetricRegistry& registry, ControlLoop& loop, QueueControl& control, std::size_t index,
                       const std::string& name) {
  const std::string component = control.queue.name + ".detectors." + name;
  const WorkingSetDetector& detector = *control.detectors[index];
  registry.level(component, "working_set", [&detector] { return detector.estimate().pages; });
  registry.level(component, "working_set_state",
                 [&detector] { return static_cast<double>(detector.estimate().state); });
  if (!loop.params().score.enabled) return;
  const WorkingSetScore& score = control.scores[index];
  registry.level(component, "working_set_error", [&score] { return score.error_pages; });
  registry.level(component, "working_set_error_share", [&score] { return score.error_share; });
  registry.level(component, "working_set_known", [&score] { return 100 * score.known_share; });
  registry.level(component, "working_set_changes", [&score] { return static_cast<double>(score.changes); });
  registry.level(component, "working_set_detected", [&score] { return static_cast<double>(score.detected); });
  registry.level(component, "working_set_delay", [&score] { return score.delay_ms; });
  registry.level(component, "working_set_false_steady", [&score] { return 100 * score.false_steady_share; });
  registry.level(component, "working_set_above", [&score] { return score.page_seconds_above; });
}

void register_breaker(MetricRegistry& registry, ControlLoop& loop, QueueControl& control) {
  const std::string& component = control.queue.name;
  const CircuitBreaker& breaker = loop.breaker_of(control);
  for (std::size_t i = 0; i < breaker_states; ++i) {
    const std::string state(breaker_state_name(static_cast<BreakerState>(i)));
    registry.counter(component, "breaker_" + state + "_time", &control.breaker_ps[i]);
  }
  const BreakerStats& stats = breaker.stats();
  registry.counter(component, "breaker_trips", &stats.trips);
  registry.counter(component, "breaker_early_trips", &stats.early_trips);
  registry.counter(component, "breaker_hard", &stats.hard);
  registry.counter(component, "breaker_failed_probes", &stats.failed_probes);
  registry.level(component, "breaker_limit", [&breaker] { return breaker.limit(); });
  registry.level(component, "breaker_first_over", [&stats] { return ms_between(Time{}, stats.first_over); });
  registry.level(component, "breaker_first_trip", [&stats] { return ms_between(Time{}, stats.first_trip); });
  registry.level(component, "breaker_time_to_trip",
                 [&stats] { return ms_between(stats.first_over, stats.first_trip); });
  registry.level(component, "breaker_time_to_close",
                 [&stats] { return ms_between(stats.first_trip, stats.first_close); });
  const BreakerGate& gate = *control.queue.gate;
  registry.counter(component, "breaker_approved", &gate.approved);
  registry.counter(component, "breaker_probed", &gate.probed);
  registry.counter(component, "breaker_refused", &gate.refused);
  registry.counter(component, "breaker_refused_hard", &gate.refused_hard);
}

}  // namespace

void register_control(MetricRegistry& registry, ControlLoop& loop) {
  for (const auto& control : loop.queues()) {
    const std::string& component = control->queue.name;
    std::size_t index = 0;
    for (const auto& [name, detector] : loop.params().detectors) {
      register_detector(registry, loop, *control, index++, name);
    }
    if (index != 0) {
      registry.level(component, "working_set", [&c = *control] { return c.steady_pages; });
    }
    registry.counter(component, "rx_overload_time", &control->rx_overload_ps);
    registry.counter(component, "tx_overload_time", &control->tx_overload_ps);
    for (std::size_t i = 0; i < situations; ++i) {
      const std::string name(situation_name(static_cast<Situation>(i)));
      registry.counter(component, "situation_" + name + "_time", &control->situation_ps[i]);
    }
    registry.level(component, "held_page_seconds", [&c = *control] { return c.held_page_seconds; });
    if (loop.params().leak.window_ms > 0) {
      const LeakObserver& leak = control->leak;
      registry.level(component, "leak_growth", [&leak] { return leak.scores().growth; });
      registry.level(component, "leak_floor", [&leak] { return leak.scores().floor; });
      registry.level(component, "leak_trend", [&leak] { return leak.scores().trend; });
    }
    if (loop.params().breaker.params.threshold != BreakerThreshold::none) register_breaker(registry, loop, *control);
    if (loop.params().score.enabled) {
      const QueueTruth& truth = control->truth;
      registry.level(component, "oracle_10ms", [&truth] { return truth.oracle_10ms; });
      registry.level(component, "oracle_100ms", [&truth] { return truth.oracle_100ms; });
      registry.level(component, "oracle_1s", [&truth] { return truth.oracle_1s; });
      registry.level(component, "oracle_100ms_1pct", [&truth] { return truth.oracle_100ms_1pct; });
      registry.level(component, "smallest_pool", [&truth] { return truth.smallest_pool; });
    }
    if (control->queue.pool == nullptr) continue;
    const std::string pool = component + ".page_pool";
    registry.level(pool, "pool_page_seconds", [&c = *control] { return c.pool_page_seconds; });
    registry.counter(pool, "limit_refused", [&c = *control] { return c.pool_stats().limit_refused; });
    registry.counter(pool, "pages_returned", [&c = *control] { return c.pool_stats().pages_returned; });
  }
  const ControlStats& stats = loop.stats();
  registry.counter("control", "looks", &stats.looks);
  registry.counter("control", "signal_writes", &stats.signal_writes);
  registry.counter("control", "return_time", &stats.return_ps);
  registry.level("control", "nr_free_pages_min", [&stats] { return static_cast<double>(stats.free_least); });
  registry.level("control", "watermark_min", [&loop] { return static_cast<double>(loop.watermark_min()); });
}

}  // namespace rxpool
