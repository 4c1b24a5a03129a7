// CT-6: level and trend of `held` as a local linear trend, followed by a Kalman filter (Harvey 1989, §2.3). Steady when
// the trend, continued over the horizon, stays inside the band and its own standard error does too.
#include <Eigen/Core>
#include <cmath>

#include "models/control/detectors.hpp"

namespace rxpool {
namespace {

class Kalman final : public WorkingSetDetector {
 public:
  explicit Kalman(const DetectorParams& params) : WorkingSetDetector(params) {}

  void observe(const PoolSample& sample) override {
    const auto held = static_cast<double>(sample.held);
    if (!started_) {
      started_ = true;
      last_ = sample.now;
      state_ << held, 0;
      const double r = params_.measurement_noise * params_.measurement_noise;
      // The trend is unknown: anything up to a band per period.
      const double trend = tolerated(held) / seconds_of(params_.period);
      covariance_ << r, 0, 0, trend * trend;
      estimate_.pages = held;
      return;
    }
    const double dt = seconds_of(sample.now - last_);
    last_ = sample.now;
    Eigen::Matrix2d transition;
    transition << 1, dt, 0, 1;
    Eigen::Matrix2d noise;
    noise << params_.level_noise * params_.level_noise * dt, 0, 0, params_.trend_noise * params_.trend_noise * dt;
    state_ = transition * state_;
    covariance_ = (transition * covariance_ * transition.transpose() + noise).eval();
    const double innovation_variance = covariance_(0, 0) + params_.measurement_noise * params_.measurement_noise;
    const Eigen::Vector2d gain = covariance_.col(0) / innovation_variance;
    state_ += gain * (held - state_(0));
    covariance_ = (covariance_ - gain * covariance_.row(0)).eval();

    estimate_.pages = state_(0) > 0 ? state_(0) : 0;
    const double horizon = seconds_of(params_.horizon);
    const double change = state_(1) * horizon;
    const double error = std::sqrt(covariance_(1, 1)) * horizon;
    const double band = tolerated(estimate_.pages) + error;
    if (change > band) {
      estimate_.state = WorkingSetState::growing;
    } else if (change < -band) {
      estimate_.state = WorkingSetState::shrinking;
    } else if (std::abs(held - state_(0)) <= tolerated(estimate_.pages)) {
      estimate_.state = WorkingSetState::steady;
    }
  }

 private:
  static double seconds_of(Time t) { return static_cast<double>(t.ps) * 1e-12; }

  bool started_ = false;
  Time last_;
  Eigen::Vector2d state_;  // pages, pages per second
  Eigen::Matrix2d covariance_;
};

}  // namespace

std::unique_ptr<WorkingSetDetector> make_kalman(const DetectorParams& params) {
  return std::make_unique<Kalman>(params);
}

}  // namespace rxpool
