#include "models/scenario/control_checks.hpp"

#include <cmath>

#include "models/scenario/json_text.hpp"

namespace rxpool::scenario {
namespace {

constexpr double most_pending = 100000;  // signals under way at a time
constexpr double most_readings = 10e6;   // of a score, per detector and queue

void need_detector(const ControlParams& c, const std::string& place, const Origin& origin) {
  if (c.detectors.empty()) {
    origin.fail(place, "needs a working set; add a detector: control.detectors: {\"main\": {\"kind\": \"ewma\"}}");
  }
}

}  // namespace

void check_control(const Scenario& scenario, const Origin& origin) {
  const ControlParams& c = scenario.control;
  std::size_t queues = 0;
  for (const auto& [name, nic] : scenario.nics) queues += nic.rx_queues.size();
  if (c.active() && !scenario.pmds.empty() && scenario.pmds.size() == queues) {
    origin.fail("control", "every RX queue has a poll-mode driver, of which the kernel sees nothing; remove it");
  }
  if (!c.working_set.empty() && !c.detectors.contains(c.working_set)) {
    origin.fail("control.working_set", "no detector " + in_quotes(c.working_set) + " in control.detectors");
  }
  if (!c.cpu.empty() && !scenario.cpus.contains(c.cpu)) origin.fail("control.cpu", "no CPU " + in_quotes(c.cpu));
  if (c.leak.window_ms > 0 && c.leak.window_ms * 1000 < 4 * c.period_us) {
    origin.fail("control.leak.window_ms", "holds fewer than 4 looks; use at least 4 x control.period_us");
  }
  if (c.breaker.params.threshold == BreakerThreshold::working_set) {
    need_detector(c, "control.breaker.threshold", origin);
  }
  if (c.pool.params.limit != LimitRule::none) need_detector(c, "control.pool.limit", origin);
  if (c.pool.params.rule != ReturnRule::never && c.pool.params.rule != ReturnRule::immediate) {
    need_detector(c, "control.pool.returns", origin);
  }
  const double ratio = c.signal.period_us / c.period_us;
  if (ratio < 1 || std::abs(ratio - std::round(ratio)) > 1e-9) {
    origin.fail("control.signal.period_us", "is no multiple of control.period_us; detectors look no more often");
  }
  if (c.signal.latency_us / c.signal.period_us > most_pending) {
    origin.fail("control.signal.latency_us", "more than 100000 signals would be under way; use a longer period_us");
  }
  if (c.score.enabled) {
    need_detector(c, "control.score.enabled", origin);
    if (c.score.every_us < c.period_us) {
      origin.fail("control.score.every_us", "is below control.period_us, at which detectors look");
    }
    if ((scenario.warmup_ms + scenario.duration_ms) * 1000 / c.score.every_us > most_readings) {
      origin.fail("control.score.every_us", "more than 10000000 readings; use a longer one");
    }
  }
  for (const auto& [name, detector] : c.detectors) {
    const std::string place = "control.detectors." + name;
    if (detector.params.kind == DetectorKind::window_quantile && detector.window_ms * 1000 < 4 * c.period_us) {
      origin.fail(place + ".window_ms", "holds fewer than 4 looks; use at least 4 x control.period_us");
    }
    if (detector.params.kind == DetectorKind::cusum && detector.learn_ms * 1000 < 4 * c.period_us) {
      origin.fail(place + ".learn_ms", "holds fewer than 4 looks; use at least 4 x control.period_us");
    }
  }
}

}  // namespace rxpool::scenario
