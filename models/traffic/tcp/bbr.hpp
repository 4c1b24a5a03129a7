#pragma once
// BBR version 1 of Linux (net/ipv4/tcp_bbr.c): a model of the path, bottleneck rate (largest delivery rate of the last
// ten round trips) and round-trip time (smallest of ten seconds), decides rate and window; losses hardly matter.
// States STARTUP, DRAIN, PROBE_BW with its cycle of eight gains, PROBE_RTT. Rule TC-23. Leaves out: policer detection
// (long-term rate), extra window for aggregated acknowledgements.

#include <array>
#include <cstdint>

#include "models/traffic/tcp/congestion_control.hpp"

namespace rxpool {

class Bbr final : public CongestionControl {
 public:
  enum class State : std::uint8_t { startup, drain, probe_bw, probe_rtt };
  static constexpr std::array<double, 8> cycle_gains = {1.25, 0.75, 1, 1, 1, 1, 1, 1};

  Bbr(std::uint32_t initial_window, RandomStream& random);
  void acked(const AckSample& sample) override;
  void congestion(Time now, std::uint32_t in_flight) override;
  void timeout(Time now) override;
  void recovered() override;
  double window() const override { return window_; }
  double pacing_pps() const override { return pacing_pps_; }

  State state() const { return state_; }
  double pacing_gain() const { return pacing_gain_; }
  std::size_t cycle_index() const { return cycle_index_; }
  double bandwidth_pps() const;
  Time min_rtt() const { return min_rtt_; }

 private:
  static constexpr std::size_t bandwidth_rounds = 10;

  double bdp(double gain) const;
  double target(double gain) const;
  void count_round(const AckSample& sample);
  void measure(const AckSample& sample);
  void advance_cycle(const AckSample& sample);
  void start_cycle(Time now);
  void check_full_pipe(const AckSample& sample);
  void check_drained(const AckSample& sample);
  void check_min_rtt(const AckSample& sample);
  void leave_probe_rtt(Time now);
  void save_window();
  void set_gains();
  void set_pacing();
  void set_window(const AckSample& sample);

  RandomStream& random_;
  std::uint32_t initial_window_;
  State state_ = State::startup;
  double window_;
  double pacing_pps_;
  double pacing_gain_;
  double window_gain_;
  // Round trips: a round ends when what was sent at its start has been delivered.
  std::uint64_t round_ = 0;
  std::uint64_t round_ends_ = 0;  ///< delivered count
  bool round_start_ = false;
  std::array<double, bandwidth_rounds> rates_pps_{};  ///< largest of each of the last rounds
  std::array<std::uint64_t, bandwidth_rounds> rate_round_{};
  Time min_rtt_ = Time::never();
  Time min_rtt_at_{0};
  // STARTUP.
  double full_bandwidth_pps_ = 0;
  int rounds_without_growth_ = 0;
  bool full_pipe_ = false;
  // PROBE_BW.
  std::size_t cycle_index_ = 0;
  Time cycle_began_{0};
  // PROBE_RTT.
  Time probe_rtt_ends_ = Time::never();  ///< never(): still draining
  bool probe_rtt_round_done_ = false;
  // Recovery.
  double saved_window_ = 0;
  bool conserves_ = false;  ///< packet conservation, in the first round of a recovery
  std::uint64_t conserves_until_round_ = 0;
  bool restore_ = false;
};

}  // namespace rxpool
