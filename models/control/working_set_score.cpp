#include "models/control/working_set_score.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "sim/error.hpp"

namespace rxpool {
namespace {

std::size_t intervals_of(Time window, Time interval) {
  return static_cast<std::size_t>(std::max<std::int64_t>(1, (window.ps + interval.ps - 1) / interval.ps));
}

/// The largest N of which a share above `exceeded` of the sorted values lies above the one before it.
double smallest_exceeded(const std::multiset<double>& values, double exceeded) {
  // Values above N may be at most floor(share x count): N is the value just below them.
  const auto above = static_cast<std::size_t>(exceeded * static_cast<double>(values.size()));
  return *std::next(values.rbegin(), static_cast<std::ptrdiff_t>(std::min(above, values.size() - 1)));
}

}  // namespace

std::vector<double> oracle_max(std::span<const double> held, Time interval, Time window) {
  const std::size_t reach = intervals_of(window, interval);
  std::vector<double> truth(held.size());
  std::vector<std::size_t> falling;  // indices of decreasing values; the front is at `first`
  std::size_t first = 0;
  for (std::size_t n = held.size(); n-- > 0;) {
    while (falling.size() > first && held[falling.back()] <= held[n]) falling.pop_back();
    falling.push_back(n);
    while (falling[first] >= n + reach) ++first;
    truth[n] = held[falling[first]];
  }
  return truth;
}

std::vector<double> oracle_exceeded(std::span<const double> held, Time interval, Time window, double exceeded) {
  const std::size_t reach = intervals_of(window, interval);
  std::vector<double> truth(held.size());
  std::multiset<double> inside;
  for (std::size_t n = held.size(); n-- > 0;) {
    inside.insert(held[n]);
    if (n + reach < held.size()) inside.erase(inside.find(held[n + reach]));
    truth[n] = smallest_exceeded(inside, exceeded);
  }
  return truth;
}

WorkingSetScore score_working_set(std::span<const WorkingSetEstimate> estimates, std::span<const double> truth,
                                  const ScoreOptions& options) {
  ensure(estimates.size() == truth.size(), "control: a score needs as many estimates as truths");
  WorkingSetScore score;
  score.delay_ms = std::numeric_limits<double>::quiet_NaN();
  if (truth.empty()) return score;
  const auto right = [&](double pages, double of) {
    return std::abs(pages - of) <= std::max(options.band_pages, options.band * of);
  };
  const double interval_s = static_cast<double>(options.interval.ps) * 1e-12;
  const std::size_t hold = intervals_of(options.hold, options.interval);
  double known = 0;
  double error = 0;
  double sum = 0;
  double false_steady = 0;
  double level = truth[0];
  double delay = 0;
  std::size_t changed_at = 0;
  bool waiting = false;
  for (std::size_t n = 0; n < truth.size(); ++n) {
    const WorkingSetEstimate& estimate = estimates[n];
    if (!right(truth[n], level)) {
      const std::size_t until = std::min(truth.size(), n + hold);
      bool stays = until - n == hold;
      for (std::size_t i = n; stays && i < until; ++i) stays = !right(truth[i], level);
      if (stays) {
        ++score.changes;
        level = truth[until - 1];
        changed_at = n;
        waiting = true;
      }
    }
    if (waiting && estimate.state != WorkingSetState::unknown && right(estimate.pages, level)) {
      ++score.detected;
      delay += static_cast<double>(n - changed_at) * interval_s * 1e3;
      waiting = false;
    }
    if (estimate.state == WorkingSetState::unknown) continue;
    known += 1;
    error += std::abs(estimate.pages - truth[n]);
    sum += truth[n];
    score.page_seconds_above += std::max(0.0, estimate.pages - truth[n]) * interval_s;
    if (estimate.state == WorkingSetState::steady && !right(estimate.pages, truth[n])) false_steady += 1;
  }
  const auto all = static_cast<double>(truth.size());
  score.known_share = known / all;
  score.false_steady_share = false_steady / all;
  if (known > 0) score.error_pages = error / known;
  if (sum > 0) score.error_share = error / sum;
  if (score.detected > 0) score.delay_ms = delay / static_cast<double>(score.detected);
  return score;
}

}  // namespace rxpool
