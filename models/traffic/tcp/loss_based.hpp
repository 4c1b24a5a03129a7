#pragma once
// The algorithms whose window follows losses and marks: Reno, CUBIC, DCTCP. Windows are in segments and fractions of
// one. Rules TC-20 to TC-22.

#include <limits>

#include "models/traffic/tcp/congestion_control.hpp"

namespace rxpool {

/// RFC 5681: slow start, one segment per window, half after congestion.
class Reno : public CongestionControl {
 public:
  explicit Reno(std::uint32_t initial_window) : window_(initial_window) {}
  void acked(const AckSample& sample) override;
  void congestion(Time now, std::uint32_t in_flight) override;
  void timeout(Time now) override;
  double window() const override { return window_; }

 protected:
  static constexpr double least = 2;
  bool slow_start() const { return window_ < threshold_; }
  /// Slow start takes what it can of the newly delivered segments; the rest is left to congestion avoidance.
  double leave_slow_start(double acked);
  void reduce(double factor);

  double window_;
  double threshold_ = std::numeric_limits<double>::infinity();
};

/// RFC 9438: W(t) = C (t - K)^3 + W_max, and never below what Reno would have.
class Cubic final : public Reno {
 public:
  explicit Cubic(std::uint32_t initial_window) : Reno(initial_window) {}
  void acked(const AckSample& sample) override;
  void congestion(Time now, std::uint32_t in_flight) override;
  void timeout(Time now) override;

  static constexpr double c = 0.4;     ///< segments per cubic second
  static constexpr double beta = 0.7;  ///< window after congestion over window before

 private:
  void begin_epoch(Time now);
  void remember_largest();

  Time epoch_ = Time::never();  ///< never(): the next acknowledgement begins one
  double largest_ = 0;          ///< W_max
  double k_s_ = 0;              ///< K
  double reno_window_ = 0;      ///< W_est
};

/// RFC 8257: the share of marked segments decides how far the window falls.
class Dctcp final : public Reno {
 public:
  explicit Dctcp(std::uint32_t initial_window) : Reno(initial_window) {}
  void acked(const AckSample& sample) override;
  bool ecn_capable() const override { return true; }
  double alpha() const { return alpha_; }

  static constexpr double gain = 1.0 / 16;

 private:
  double alpha_ = 1;
  std::uint64_t acked_ = 0;
  std::uint64_t marked_ = 0;
  std::uint64_t window_ends_ = 0;  ///< segment whose acknowledgement ends the observation window
  std::uint64_t reduced_until_ = 0;
};

}  // namespace rxpool
