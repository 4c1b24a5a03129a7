#pragma once
// The detectors behind make_detector(), one class each, with the sentence it follows.

#include <array>
#include <cstddef>
#include <vector>

#include "models/control/working_set.hpp"

namespace rxpool {

/// CT-1: a signed counter, +1 for an allocation, -1 for a free, looked at and reset every N jiffies. Near zero means
/// stable, and the pages outstanding then are the working set.
class JiffiesCounter final : public WorkingSetDetector {
 public:
  explicit JiffiesCounter(const DetectorParams& params) : WorkingSetDetector(params) {}
  void observe(const PoolSample& sample) override;

 private:
  bool started_ = false;
  Time reset_at_;
  std::uint64_t allocs_ = 0;
  std::uint64_t frees_ = 0;
};

/// CT-2: steady when no (re)fill has occurred for a while and the free pages in the pool are not excessive.
class NoRefill final : public WorkingSetDetector {
 public:
  explicit NoRefill(const DetectorParams& params) : WorkingSetDetector(params) {}
  void observe(const PoolSample& sample) override;

 private:
  bool started_ = false;
  std::uint64_t slow_allocs_ = 0;
  Time refilled_;
};

/// CT-3: exponential mean of `held`; steady when the samples of one time constant stayed near it.
class Ewma final : public WorkingSetDetector {
 public:
  explicit Ewma(const DetectorParams& params) : WorkingSetDetector(params) {}
  void observe(const PoolSample& sample) override;

 private:
  bool started_ = false;
  Time last_;
  Time outside_band_;  ///< last sample that was not near the mean
};

/// CT-4: a quantile of `held` over a sliding window, kept as at most `most_samples` readings; steady when the two
/// halves of the window have the same mean.
class WindowQuantile final : public WorkingSetDetector {
 public:
  static constexpr std::size_t most_samples = 256;
  explicit WindowQuantile(const DetectorParams& params);
  void observe(const PoolSample& sample) override;

 private:
  Time spacing_;
  Time next_;
  std::vector<double> ring_;
  std::vector<double> scratch_;
  std::size_t count_ = 0;
  std::size_t at_ = 0;
  double largest_ = 0;  ///< since the last reading was kept
};

/// CT-5: two-sided cumulative sum of standardised deviations (Page 1954): an alarm is a change, and a new level is
/// learnt.
class Cusum final : public WorkingSetDetector {
 public:
  explicit Cusum(const DetectorParams& params) : WorkingSetDetector(params) {}
  void observe(const PoolSample& sample) override;

 private:
  void start_learning(Time now);
  void learn(Time now, double held);

  bool started_ = false;
  bool learning_ = true;
  Time since_;
  // Welford's sums of both halves of the learning time.
  struct Half {
    double n = 0;
    double mean = 0;
    double m2 = 0;
    void add(double x);
  };
  std::array<Half, 2> half_;
  double mean_ = 0;
  double spread_ = 1;
  double up_ = 0;
  double down_ = 0;
};

std::unique_ptr<WorkingSetDetector> make_kalman(const DetectorParams& params);

}  // namespace rxpool
