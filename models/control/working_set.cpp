#include "models/control/working_set.hpp"

#include <algorithm>

#include "models/control/detectors.hpp"
#include "sim/error.hpp"

namespace rxpool {

std::string_view detector_name(DetectorKind kind) {
  constexpr std::string_view names[] = {"jiffies_counter", "no_refill", "ewma", "window_quantile", "cusum", "kalman"};
  return names[static_cast<std::size_t>(kind)];
}

DetectorInputs detector_inputs(DetectorKind kind) {
  DetectorInputs inputs;
  inputs.counters = kind == DetectorKind::jiffies_counter;
  inputs.slow_allocs = kind == DetectorKind::no_refill;
  return inputs;
}

double WorkingSetDetector::tolerated(double pages) const {
  return std::max(params_.band_pages, params_.band * pages);
}

void JiffiesCounter::observe(const PoolSample& sample) {
  if (!started_) {
    started_ = true;
    reset_at_ = sample.now + params_.jiffy * params_.jiffies;
    allocs_ = sample.allocs;
    frees_ = sample.frees;
    return;
  }
  if (sample.now < reset_at_) return;
  const auto taken = static_cast<double>(sample.allocs - allocs_);
  const double counter = taken - static_cast<double>(sample.frees - frees_);
  reset_at_ += params_.jiffy * params_.jiffies;
  allocs_ = sample.allocs;
  frees_ = sample.frees;
  const double near_zero = std::max(params_.band_pages, params_.tolerance * taken);
  if (counter > near_zero) {
    estimate_.state = WorkingSetState::growing;
  } else if (counter < -near_zero) {
    estimate_.state = WorkingSetState::shrinking;
  } else {
    estimate_ = {static_cast<double>(sample.held), WorkingSetState::steady};
  }
}

void NoRefill::observe(const PoolSample& sample) {
  if (!started_ || sample.slow_allocs != slow_allocs_) {
    if (started_) estimate_.state = WorkingSetState::growing;
    started_ = true;
    slow_allocs_ = sample.slow_allocs;
    refilled_ = sample.now;
    return;
  }
  if (sample.now - refilled_ < params_.quiet) return;
  const auto in_use = static_cast<double>(sample.held);
  if (static_cast<double>(sample.free_pages) > params_.excess * in_use + params_.band_pages) {
    estimate_.state = WorkingSetState::shrinking;
  } else {
    estimate_ = {in_use, WorkingSetState::steady};
  }
}

void Ewma::observe(const PoolSample& sample) {
  const auto held = static_cast<double>(sample.held);
  if (!started_) {
    started_ = true;
    last_ = outside_band_ = sample.now;
    estimate_.pages = held;
    return;
  }
  const Time step = sample.now - last_;
  last_ = sample.now;
  const double deviation = held - estimate_.pages;
  // First order in the step: the period is far below the time constant.
  estimate_.pages += deviation * static_cast<double>(step.ps) / static_cast<double>((params_.time_constant + step).ps);
  if (std::abs(deviation) > tolerated(estimate_.pages)) {
    outside_band_ = sample.now;
    estimate_.state = deviation > 0 ? WorkingSetState::growing : WorkingSetState::shrinking;
  } else if (sample.now - outside_band_ >= params_.time_constant) {
    estimate_.state = WorkingSetState::steady;
  }
}

WindowQuantile::WindowQuantile(const DetectorParams& params) : WorkingSetDetector(params) {
  const std::int64_t readings = std::max<std::int64_t>(4, params.window / params.period);
  const auto kept = std::min<std::size_t>(static_cast<std::size_t>(readings), most_samples);
  spacing_ = params.window / static_cast<std::int64_t>(kept);
  ring_.resize(kept);
  scratch_.resize(kept);
}

void WindowQuantile::observe(const PoolSample& sample) {
  largest_ = std::max(largest_, static_cast<double>(sample.held));
  if (sample.now < next_) return;
  next_ = sample.now + spacing_;
  ring_[at_] = largest_;
  largest_ = 0;
  at_ = (at_ + 1) % ring_.size();
  count_ = std::min(count_ + 1, ring_.size());
  if (count_ < ring_.size()) return;
  std::copy(ring_.begin(), ring_.end(), scratch_.begin());
  const auto rank = static_cast<std::size_t>(params_.quantile * static_cast<double>(ring_.size() - 1) + 0.5);
  std::nth_element(scratch_.begin(), scratch_.begin() + static_cast<std::ptrdiff_t>(rank), scratch_.end());
  estimate_.pages = scratch_[rank];
  double older = 0;
  double newer = 0;
  const std::size_t half = ring_.size() / 2;
  for (std::size_t i = 0; i < half; ++i) {
    older += ring_[(at_ + i) % ring_.size()];
    newer += ring_[(at_ + ring_.size() - 1 - i) % ring_.size()];
  }
  const double change = (newer - older) / static_cast<double>(half);
  estimate_.state = change > tolerated(estimate_.pages)    ? WorkingSetState::growing
                    : change < -tolerated(estimate_.pages) ? WorkingSetState::shrinking
                                                           : WorkingSetState::steady;
}

std::unique_ptr<WorkingSetDetector> make_detector(const DetectorParams& params) {
  ensure(params.period.ps > 0 && params.jiffy.ps > 0, "control: a detector needs a period and a jiffy");
  switch (params.kind) {
    case DetectorKind::jiffies_counter:
      return std::make_unique<JiffiesCounter>(params);
    case DetectorKind::no_refill:
      return std::make_unique<NoRefill>(params);
    case DetectorKind::ewma:
      return std::make_unique<Ewma>(params);
    case DetectorKind::window_quantile:
      return std::make_unique<WindowQuantile>(params);
    case DetectorKind::cusum:
      return std::make_unique<Cusum>(params);
    case DetectorKind::kalman:
      return make_kalman(params);
  }
  throw BugError("control: no such detector");
}

}  // namespace rxpool
