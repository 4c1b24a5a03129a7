// What is done to the prices of a file before a run: retpolines, and draws from what a fit left uncertain.
#include <cmath>

#include "models/calibration/calibration.hpp"
#include "sim/error.hpp"
#include "sim/math.hpp"

namespace rxpool {
namespace {

/// The polar method (Marsaglia): two words of the stream per attempt and no sine.
double standard_normal(RandomStream& random) {
  while (true) {
    const double u = 2 * random.next_unit() - 1;
    const double v = 2 * random.next_unit() - 1;
    const double square = u * u + v * v;
    if (square >= 1 || square == 0) continue;
    return u * std::sqrt(-2 * math::log(square) / square);
  }
}

/// Lower triangle L of the covariance, L L^T; a parameter without variance (at its bound) has an empty row.
std::vector<std::vector<double>> cholesky(const std::vector<std::vector<double>>& covariance) {
  const std::size_t n = covariance.size();
  std::vector<std::vector<double>> lower(n, std::vector<double>(n, 0.0));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = covariance[i][j];
      for (std::size_t k = 0; k < j; ++k) rest -= lower[i][k] * lower[j][k];
      if (i == j) {
        lower[i][i] = rest > 0 ? std::sqrt(rest) : 0;
      } else if (lower[j][j] > 0) {
        lower[i][j] = rest / lower[j][j];
      }
    }
  }
  return lower;
}

Time scaled(Time price, double factor) {
  return Time{std::llround(static_cast<double>(price.ps) * factor)};
}

/// The number at a dotted place; the loader has let only those of the file through.
Time& number_at(Calibration& file, const std::string& place) {
  for (const StepInfo& info : calibration_steps) {
    if (place == "steps." + std::string(info.name)) {
      return file.steps[static_cast<std::size_t>(info.step)].fixed;
    }
  }
  if (place == "pcie.packet_ns") return file.pcie.packet;
  if (place == "pcie.packet_ns_cqe_compress") return file.pcie.packet_cqe_compress;
  if (place == "pcie.tx_packet_ns") return file.pcie.tx_packet;
  if (place == "pcie.latency_ns") return file.pcie.latency;
  if (place == "idle.c1") return file.idle.c1.exit;
  if (place == "idle.deep") return file.idle.deep.exit;
  throw InputError(file.name + ": fit: \"" + place + "\" cannot be fitted");
}

}  // namespace

void Calibration::add_retpolines() {
  const Time each = cost(Step::retpoline);
  for (StepCost& step : steps) step.fixed += each * step.indirect_calls;
}

void Calibration::draw(RandomStream& random) {
  for (const CalibrationFit& fit : fits) {
    const std::vector<std::vector<double>> lower = cholesky(fit.covariance);
    std::vector<double> normals(fit.parameters.size());
    for (double& normal : normals) normal = standard_normal(random);
    for (std::size_t i = 0; i < fit.parameters.size(); ++i) {
      const CalibrationFit::Parameter& parameter = fit.parameters[i];
      double drawn = parameter.factor;
      for (std::size_t k = 0; k <= i; ++k) drawn += lower[i][k] * normals[k];
      const double change = drawn > 0 ? drawn / parameter.factor : 0;
      for (const std::string& place : parameter.numbers) {
        if (place == "idle.cold_packets") {
          idle.cold_permille = std::llround(static_cast<double>(idle.cold_permille) * change);
          continue;
        }
        Time& number = number_at(*this, place);
        number = scaled(number, change);
      }
    }
  }
}

}  // namespace rxpool
