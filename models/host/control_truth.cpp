// The series that a control loop keeps for the scores of its detectors, and what a perfect one would have said (CT-10
// to CT-14).

#include <limits>
#include <span>

#include "models/host/control_loop.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool {
namespace {

/// Of what was recorded from the first interval on.
double smallest_pool_of(const QueueControl& control, KernelRelease release) {
  if (control.moves.empty()) return std::numeric_limits<double>::quiet_NaN();
  PoolReplayParams params;
  params.ring_size = control.queue.pool->parameters().pool_size;
  params.release = release;
  params.outside = control.outside_first;
  const auto pages = smallest_pool(std::span(control.moves).subspan(1), params, control.outside_most);
  return pages ? *pages : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

void ControlLoop::record(QueueControl& control) {
  if (const PagePool* pool = control.queue.pool) {
    // The counters' low halves: an interval moves fewer than 2^32 pages.
    const PagePoolStats stats = control.pool_stats();
    const PoolMoves totals{
        static_cast<std::uint32_t>(stats.alloc_fast + stats.alloc_refill + stats.alloc_slow),
        static_cast<std::uint32_t>(stats.recycle_cached),
        static_cast<std::uint32_t>(stats.recycle_ring + stats.ring_full_released + stats.recycle_released_refcnt)};
    const PoolMoves& last = control.totals;
    if (control.moves.empty()) control.outside_first = static_cast<std::uint32_t>(pool->outside());
    control.moves.push_back({totals.allocs - last.allocs, totals.direct_returns - last.direct_returns,
                             totals.ring_returns - last.ring_returns});
    control.totals = totals;
  }
  control.held_series.push_back(control.held_most);
  control.held_most = 0;
  for (std::size_t i = 0; i < control.detectors.size(); ++i) {
    control.estimate_series[i].push_back(control.detectors[i]->estimate());
  }
}

void ControlLoop::finish() {
  if (!params_.score.enabled) return;
  const auto mean = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return values.empty() ? 0 : sum / static_cast<double>(values.size());
  };
  ScoreOptions options;
  options.interval = score_every_;
  options.window = time_from_ms(params_.score.window_ms);
  options.band = params_.score.band;
  options.band_pages = params_.score.band_pages;
  for (const auto& control : queues_) {
    const std::vector<double>& held = control->held_series;
    const auto oracle = [&](Time window) { return oracle_max(held, score_every_, window); };
    control->truth.oracle_10ms = mean(oracle(milliseconds(10)));
    control->truth.oracle_100ms = mean(oracle(milliseconds(100)));
    control->truth.oracle_1s = mean(oracle(seconds(1)));
    control->truth.oracle_100ms_1pct = mean(oracle_exceeded(held, score_every_, milliseconds(100), 0.01));
    control->truth.smallest_pool = smallest_pool_of(*control, allocator_.parameters().release);
    const std::vector<double> truth = oracle(options.window);
    for (std::size_t i = 0; i < control->detectors.size(); ++i) {
      control->scores[i] = score_working_set(control->estimate_series[i], truth, options);
    }
  }
}

}  // namespace rxpool
