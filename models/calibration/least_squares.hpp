#pragma once
// Bounded non-linear least squares with prior knowledge, for calibrations: finds the parameters between their bounds
// that minimise the squared residuals of the measurements plus the squared distance from the priors, both in units of
// their standard deviations, by damped Gauss-Newton steps (Levenberg-Marquardt; parameters at a bound that the step
// would leave through are held there). The model is a function of the caller and may be slow: one step needs it once
// for the value and once for its derivatives. Leaves out: global search, robust losses.

#include <Eigen/Core>
#include <functional>

namespace rxpool {

struct FitProblem {
  Eigen::VectorXd measured;
  Eigen::VectorXd deviation;  ///< of each measurement, above 0
  Eigen::VectorXd prior;
  Eigen::VectorXd prior_deviation;  ///< of each prior; infinite where nothing is known
  Eigen::VectorXd low;
  Eigen::VectorXd high;
};

/// What the model says at `parameters`: as many numbers as measurements, and their derivatives, one row each.
struct FitModel {
  std::function<Eigen::VectorXd(const Eigen::VectorXd& parameters)> value;
  std::function<Eigen::MatrixXd(const Eigen::VectorXd& parameters)> derivatives;
};

struct FitOptions {
  int most_steps = 12;
  double smallest_gain = 1e-3;  ///< relative decrease of the sum of squares at which it stops
};

struct FitResult {
  Eigen::VectorXd parameters;
  Eigen::VectorXd predicted;
  /// Of the parameters; rows and columns of those held at a bound are zero. Scaled by the residuals' own spread where
  /// that is larger than their deviations say.
  Eigen::MatrixXd covariance;
  Eigen::MatrixXd derivatives;  ///< at the end
  double sum_of_squares = 0;
  int steps = 0;
};

/// Starts at the priors, or at the bound next to one. Throws InputError for a problem whose sizes or bounds do not fit.
FitResult fit_least_squares(const FitProblem& problem, const FitModel& model, const FitOptions& options = {});

}  // namespace rxpool
