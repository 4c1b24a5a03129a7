#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "models/calibration/least_squares.hpp"
#include "sim/error.hpp"

using namespace rxpool;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

constexpr double unknown = std::numeric_limits<double>::infinity();

/// A line through five points, y = 3 + 2 x.
struct Line {
  VectorXd x = VectorXd::LinSpaced(5, 0, 4);
  FitProblem problem;
  FitModel model;

  Line() {
    problem.measured = (3 + 2 * x.array()).matrix();
    problem.deviation = VectorXd::Constant(5, 0.5);
    problem.prior = VectorXd::Zero(2);
    problem.prior_deviation = VectorXd::Constant(2, unknown);
    problem.low = VectorXd::Constant(2, -100);
    problem.high = VectorXd::Constant(2, 100);
    MatrixXd slopes(5, 2);
    slopes << VectorXd::Ones(5), x;
    model.value = [slopes](const VectorXd& p) -> VectorXd { return slopes * p; };
    model.derivatives = [slopes](const VectorXd&) { return slopes; };
  }
};

}  // namespace

TEST_CASE("a line is found exactly, with the textbook's covariance") {
  const Line line;
  const FitResult fit = fit_least_squares(line.problem, line.model);
  CHECK(fit.parameters[0] == Approx(3));
  CHECK(fit.parameters[1] == Approx(2));
  // sigma^2 / sum (x - mean)^2 for the slope, sigma^2 (1/n + mean^2 / sum) for the intercept.
  CHECK(fit.covariance(1, 1) == Approx(0.25 / 10));
  CHECK(fit.covariance(0, 0) == Approx(0.25 * (0.2 + 4.0 / 10)));
}

TEST_CASE("a parameter stops at its bound and the others make the best of it") {
  Line line;
  line.problem.high[1] = 1.5;
  const FitResult fit = fit_least_squares(line.problem, line.model);
  CHECK(fit.parameters[1] == 1.5);
  CHECK(fit.parameters[0] == Approx(3 + 2 * 0.5));  // the mean of what is left
  CHECK(fit.covariance(1, 1) == 0);
  CHECK(fit.covariance(0, 0) > 0);
}

TEST_CASE("a parameter that started at a bound can leave it") {
  Line line;
  line.problem.prior << 100, 100;
  CHECK(fit_least_squares(line.problem, line.model).parameters[1] == Approx(2));
}

TEST_CASE("a sure prior holds a parameter against the measurements, an unsure one does not") {
  Line line;
  line.problem.prior << 0, 5;
  line.problem.prior_deviation << unknown, 1e-6;
  CHECK(fit_least_squares(line.problem, line.model).parameters[1] == Approx(5));
  line.problem.prior_deviation[1] = 1e6;
  CHECK(fit_least_squares(line.problem, line.model).parameters[1] == Approx(2));
}

TEST_CASE("a curve far from its start is found") {
  FitProblem problem;
  const VectorXd x = VectorXd::LinSpaced(20, 0, 3);
  problem.measured = (2 * (-1.3 * x.array()).exp()).matrix();
  problem.deviation = VectorXd::Constant(20, 0.01);
  problem.prior = VectorXd::Constant(2, 0.2);
  problem.prior_deviation = VectorXd::Constant(2, unknown);
  problem.low = VectorXd::Zero(2);
  problem.high = VectorXd::Constant(2, 10);
  FitModel model;
  model.value = [&](const VectorXd& p) -> VectorXd { return (p[0] * (-p[1] * x.array()).exp()).matrix(); };
  model.derivatives = [&](const VectorXd& p) {
    MatrixXd d(20, 2);
    d.col(0) = (-p[1] * x.array()).exp().matrix();
    d.col(1) = (-p[0] * x.array() * (-p[1] * x.array()).exp()).matrix();
    return d;
  };
  FitOptions options;
  options.most_steps = 100;
  options.smallest_gain = 1e-12;
  const FitResult fit = fit_least_squares(problem, model, options);
  CHECK(fit.parameters[0] == Approx(2).epsilon(1e-4));
  CHECK(fit.parameters[1] == Approx(1.3).epsilon(1e-4));
}

TEST_CASE("measurements that scatter more than they say make the parameters less sure") {
  Line line;
  const double sure = fit_least_squares(line.problem, line.model).covariance(1, 1);
  line.problem.measured += 10 * (VectorXd(5) << 1, -1, 1, -1, 1).finished();
  CHECK(fit_least_squares(line.problem, line.model).covariance(1, 1) > 100 * sure);
}

TEST_CASE("as many parameters as measurements are refused, and so are crossed bounds") {
  Line line;
  line.problem.low[0] = 101;
  CHECK_THROWS_AS(fit_least_squares(line.problem, line.model), InputError);
  Line few;
  few.problem.measured.conservativeResize(2);
  few.problem.deviation.conservativeResize(2);
  CHECK_THROWS_AS(fit_least_squares(few.problem, few.model), InputError);
}
