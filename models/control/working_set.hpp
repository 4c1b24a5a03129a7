#pragma once
// Working-set detectors: how many pages does a queue's traffic keep in steady state? A detector is fed samples of one
// page_pool's counters at a regular period and answers with an estimate of `held` and a state. It knows nothing of the
// simulator: the same code reads a real kernel's counters. Leaves out: what is done with the estimate (page_return.hpp,
// breaker.hpp) and how good it is (working_set_score.hpp). Rules CT-1 to CT-6.

#include <cstdint>
#include <memory>
#include <string_view>

#include "sim/time.hpp"

namespace rxpool {

/// One reading of a pool. Counts are totals since the pool exists.
struct PoolSample {
  Time now;
  std::uint64_t allocs = 0;       ///< pages that left the pool for its driver
  std::uint64_t frees = 0;        ///< pages that came back, into the pool or through it to the page allocator
  std::uint64_t slow_allocs = 0;  ///< calls of the page allocator: (re)fills
  std::int64_t held = 0;          ///< pages that somebody downstream keeps
  std::int64_t free_pages = 0;    ///< pages in the pool's cache and ring
};

enum class WorkingSetState : std::uint8_t { unknown, growing, steady, shrinking };

struct WorkingSetEstimate {
  double pages = 0;
  WorkingSetState state = WorkingSetState::unknown;
};

enum class DetectorKind : std::uint8_t { jiffies_counter, no_refill, ewma, window_quantile, cusum, kalman };
std::string_view detector_name(DetectorKind kind);

/// What a detector reads besides the time.
struct DetectorInputs {
  bool counters = false;     ///< allocs and frees
  bool slow_allocs = false;  ///< and free_pages
  bool held = true;
};
DetectorInputs detector_inputs(DetectorKind kind);

/// Every kind reads its own; the unit is in the name.
struct DetectorParams {
  DetectorKind kind = DetectorKind::ewma;
  Time period;                            ///< between two samples
  Time jiffy;                             ///< 1 / HZ
  double band = 0.1;                      ///< changes within this share of the estimate are none …
  double band_pages = 64;                 ///< … and within so many pages (a NAPI budget)
  std::uint32_t jiffies = 10;             ///< jiffies_counter: N
  double tolerance = 0.01;                ///< jiffies_counter: |counter| / allocations that still is "near zero"
  Time quiet = milliseconds(20);          ///< no_refill: "a while"
  double excess = 1;                      ///< no_refill: free pages per page in use that are not excessive
  Time time_constant = milliseconds(20);  ///< ewma
  Time window = milliseconds(100);        ///< window_quantile
  double quantile = 0.99;                 ///< window_quantile
  Time learn = milliseconds(20);          ///< cusum: samples from which mean and spread are learnt
  double drift = 0.5;                     ///< cusum: in standard deviations
  double threshold = 10;                  ///< cusum: in standard deviations
  double level_noise = 200;               ///< kalman: pages per root second
  double trend_noise = 20000;             ///< kalman: pages per second and root second
  double measurement_noise = 32;          ///< kalman: pages
  Time horizon = milliseconds(20);        ///< kalman: a trend that stays inside the band for so long is none
};

class WorkingSetDetector {
 public:
  virtual ~WorkingSetDetector() = default;
  /// Samples come at the period, in order of time. Allocates nothing.
  virtual void observe(const PoolSample& sample) = 0;
  const WorkingSetEstimate& estimate() const { return estimate_; }

 protected:
  explicit WorkingSetDetector(const DetectorParams& params) : params_(params) {}
  /// How far a level may be from `pages` and still be the same.
  double tolerated(double pages) const;

  DetectorParams params_;
  WorkingSetEstimate estimate_;
};

std::unique_ptr<WorkingSetDetector> make_detector(const DetectorParams& params);

}  // namespace rxpool
