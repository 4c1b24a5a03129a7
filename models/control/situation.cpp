#include "models/control/situation.hpp"

#include <algorithm>

namespace rxpool {

std::string_view situation_name(Situation situation) {
  constexpr std::string_view names[] = {"normal", "good_queue", "bad_queue", "run_to_oom", "rx_slow"};
  return names[static_cast<std::size_t>(situation)];
}

void SituationObserver::observe(const SituationSample& sample) {
  if (!started_) {
    started_ = true;
    last_ = sample.now;
    base_ = slow_ = sample.held;
    return;
  }
  const Time step = sample.now - last_;
  last_ = sample.now;
  spent_[static_cast<std::size_t>(situation_)] += step;
  const double step_ps = static_cast<double>(step.ps);
  const double weight = step_ps / (static_cast<double>(params_.persists.ps) / 4 + step_ps);
  const double before = slow_;
  slow_ += weight * (sample.held - slow_);
  growth_ += weight * ((slow_ - before) / (step_ps * 1e-12) - growth_);

  const bool raised = sample.held > params_.raised * base_ && sample.held > base_ + params_.raised_pages;
  if (raised && !queue_) since_ = sample.now;
  queue_ = raised;
  if (!raised) base_ += weight * (sample.held - base_);

  const bool persists = queue_ && sample.now - since_ >= params_.persists;
  const double room = std::max(0.0, sample.free_pages - sample.low);
  const bool runs_dry = growth_ > 0 && growth_ * static_cast<double>(params_.horizon.ps) * 1e-12 >= room;
  if (queue_ && (sample.free_pages <= sample.low || (persists && runs_dry))) {
    situation_ = Situation::run_to_oom;
  } else if (persists) {
    situation_ = Situation::bad_queue;
  } else if (queue_) {
    situation_ = Situation::good_queue;
  } else {
    situation_ = sample.rx_overload ? Situation::rx_slow : Situation::normal;
  }
}

}  // namespace rxpool
