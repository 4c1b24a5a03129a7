// Least squares for Python: the model is a callable, vectors and matrices are NumPy arrays.

#include "models/calibration/least_squares.hpp"

#include <pybind11/eigen.h>
#include <pybind11/functional.h>

#include "fitting.hpp"

namespace rxpool::python {
namespace py = pybind11;

namespace {

py::dict fit(const FitProblem& problem, const py::function& value, const py::function& derivatives) {
  FitModel model;
  model.value = [&](const Eigen::VectorXd& parameters) { return value(parameters).cast<Eigen::VectorXd>(); };
  model.derivatives = [&](const Eigen::VectorXd& parameters) {
    return derivatives(parameters).cast<Eigen::MatrixXd>();
  };
  const FitResult found = fit_least_squares(problem, model);
  py::dict d;
  d["parameters"] = found.parameters;
  d["predicted"] = found.predicted;
  d["covariance"] = found.covariance;
  d["derivatives"] = found.derivatives;
  d["sum_of_squares"] = found.sum_of_squares;
  d["steps"] = found.steps;
  return d;
}

}  // namespace

void bind_fitting(py::module_& m) {
  m.def(
      "fit_least_squares",
      [](Eigen::VectorXd measured, Eigen::VectorXd deviation, Eigen::VectorXd prior, Eigen::VectorXd prior_deviation,
         Eigen::VectorXd low, Eigen::VectorXd high, const py::function& value, const py::function& derivatives) {
        return fit({std::move(measured), std::move(deviation), std::move(prior), std::move(prior_deviation),
                    std::move(low), std::move(high)},
                   value, derivatives);
      },
      py::arg("measured"), py::arg("deviation"), py::arg("prior"), py::arg("prior_deviation"), py::arg("low"),
      py::arg("high"), py::arg("value"), py::arg("derivatives"));
}

}  // namespace rxpool::python
