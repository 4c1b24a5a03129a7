#include "models/calibration/least_squares.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/error.hpp"

namespace rxpool {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

void check(const FitProblem& p) {
  const Index n = p.prior.size();
  if (p.deviation.size() != p.measured.size() || p.prior_deviation.size() != n || p.low.size() != n ||
      p.high.size() != n || n == 0) {
    throw InputError("fit: one deviation per measurement, and one prior, deviation and pair of bounds per parameter");
  }
  if (p.measured.size() <= n) {
    throw InputError("fit: " + std::to_string(n) + " parameters need more than " + std::to_string(p.measured.size()) +
                     " measurements");
  }
  if ((p.deviation.array() <= 0).any() || (p.prior_deviation.array() <= 0).any()) {
    throw InputError("fit: deviations must be above 0");
  }
  if ((p.low.array() > p.high.array()).any()) throw InputError("fit: a lower bound is above its upper bound");
}

/// Measurements and priors as one list of weighted residuals.
VectorXd residuals(const FitProblem& p, const VectorXd& parameters, const VectorXd& predicted) {
  VectorXd all(p.measured.size() + p.prior.size());
  all << (p.measured - predicted).cwiseQuotient(p.deviation), (p.prior - parameters).cwiseQuotient(p.prior_deviation);
  return all;
}

MatrixXd weighted(const FitProblem& p, const MatrixXd& derivatives) {
  const Index n = p.prior.size();
  MatrixXd all(derivatives.rows() + n, n);
  all.topRows(derivatives.rows()) = p.deviation.cwiseInverse().asDiagonal() * derivatives;
  all.bottomRows(n) = MatrixXd(p.prior_deviation.cwiseInverse().asDiagonal());
  return all;
}

/// Parameters that may move: not at a bound that the gradient pushes them through.
std::vector<Index> movable(const FitProblem& p, const VectorXd& parameters, const VectorXd& downhill) {
  std::vector<Index> indices;
  for (Index i = 0; i < parameters.size(); ++i) {
    const bool held =
        (parameters[i] <= p.low[i] && downhill[i] <= 0) || (parameters[i] >= p.high[i] && downhill[i] >= 0);
    if (!held) indices.push_back(i);
  }
  return indices;
}

/// One damped step of the movable parameters, cut at the bounds.
VectorXd stepped(const FitProblem& p, const VectorXd& parameters, const MatrixXd& jacobian, const VectorXd& residual,
                 double damping) {
  const VectorXd downhill = jacobian.transpose() * residual;
  const std::vector<Index> moving = movable(p, parameters, downhill);
  VectorXd next = parameters;
  if (moving.empty()) return next;
  const MatrixXd part = jacobian(Eigen::all, moving);
  MatrixXd normal = part.transpose() * part;
  normal.diagonal() *= 1 + damping;
  const VectorXd change = normal.ldlt().solve(downhill(moving));
  for (std::size_t k = 0; k < moving.size(); ++k) next[moving[k]] += change[static_cast<Index>(k)];
  return next.cwiseMax(p.low).cwiseMin(p.high);
}

MatrixXd covariance_of(const FitProblem& p, const VectorXd& parameters, const MatrixXd& jacobian,
                       const VectorXd& residual) {
  const Index n = parameters.size();
  const std::vector<Index> moving = movable(p, parameters, jacobian.transpose() * residual);
  MatrixXd covariance = MatrixXd::Zero(n, n);
  if (moving.empty()) return covariance;
  const auto m = static_cast<Index>(moving.size());
  const MatrixXd part = jacobian(Eigen::all, moving);
  const auto freedom = static_cast<double>(std::max<Index>(1, p.measured.size() - m));
  const double spread = std::max(1.0, residual.head(p.measured.size()).squaredNorm() / freedom);
  const MatrixXd inverse = (part.transpose() * part).ldlt().solve(MatrixXd::Identity(m, m)) * spread;
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < m; ++j) {
      covariance(moving[static_cast<std::size_t>(i)], moving[static_cast<std::size_t>(j)]) = inverse(i, j);
    }
  }
  return covariance;
}

}  // namespace

FitResult fit_least_squares(const FitProblem& problem, const FitModel& model, const FitOptions& options) {
  check(problem);
  FitResult fit;
  fit.parameters = problem.prior.cwiseMax(problem.low).cwiseMin(problem.high);
  fit.predicted = model.value(fit.parameters);
  VectorXd residual = residuals(problem, fit.parameters, fit.predicted);
  fit.sum_of_squares = residual.squaredNorm();
  fit.derivatives = model.derivatives(fit.parameters);
  double damping = 1e-3;
  while (fit.steps < options.most_steps) {
    ++fit.steps;
    const VectorXd next = stepped(problem, fit.parameters, weighted(problem, fit.derivatives), residual, damping);
    const VectorXd predicted = model.value(next);
    const VectorXd next_residual = residuals(problem, next, predicted);
    const double sum = next_residual.squaredNorm();
    if (!(sum < fit.sum_of_squares)) {
      damping = std::max(damping, 1e-3) * 10;
      if (damping > 1e6) break;
      continue;
    }
    const double gain = (fit.sum_of_squares - sum) / std::max(fit.sum_of_squares, 1e-300);
    fit.parameters = next;
    fit.predicted = predicted;
    fit.sum_of_squares = sum;
    residual = next_residual;
    fit.derivatives = model.derivatives(fit.parameters);
    damping /= 10;
    if (gain < options.smallest_gain) break;
  }
  fit.covariance = covariance_of(problem, fit.parameters, weighted(problem, fit.derivatives), residual);
  return fit;
}

}  // namespace rxpool
