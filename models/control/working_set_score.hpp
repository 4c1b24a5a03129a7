#pragma once
// The truth that working-set detectors are scored against, and the scores. Both look into the future, so they are made
// from a recorded series after time stopped. The series holds, for every interval of one length, the largest `held`
// that was seen in it; what happened between two readings is not known. Rules CT-10 to CT-13.

#include <cstdint>
#include <span>
#include <vector>

#include "models/control/working_set.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// oracle_W(t): the largest of held over [t, t + window), per interval; the last ones see what is left of the run.
std::vector<double> oracle_max(std::span<const double> held, Time interval, Time window);
/// oracle_W,e(t): the smallest N that held exceeds for at most the share `exceeded` of [t, t + window).
std::vector<double> oracle_exceeded(std::span<const double> held, Time interval, Time window, double exceeded);

struct ScoreOptions {
  Time interval;
  Time window = milliseconds(10);  ///< of the truth: W
  double band = 0.25;              ///< an estimate within this share of the truth is right …
  double band_pages = 64;          ///< … or within so many pages; a change of the truth beyond both is a change
  Time hold = milliseconds(20);    ///< a change counts when the truth stays changed for so long
};

struct WorkingSetScore {
  double error_pages = 0;         ///< mean of |estimate - truth| while there is an estimate
  double error_share = 0;         ///< the same over the mean of the truth
  double known_share = 0;         ///< share of time with an estimate
  std::uint64_t changes = 0;      ///< of the truth
  std::uint64_t detected = 0;     ///< of these, followed by a right estimate before the next one; others are censored
  double delay_ms = 0;            ///< mean from change to right estimate, of the detected ones; NaN without any
  double false_steady_share = 0;  ///< share of time with state steady and an estimate that is not right
  double page_seconds_above = 0;  ///< integral of max(0, estimate - truth)
};

/// Scores one detector; `estimates` and `truth` have one entry per interval.
WorkingSetScore score_working_set(std::span<const WorkingSetEstimate> estimates, std::span<const double> truth,
                                  const ScoreOptions& options);

}  // namespace rxpool
