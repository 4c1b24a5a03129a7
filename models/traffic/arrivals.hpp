#pragma once
// When a synthetic source sends: constant, Poisson, Markov-modulated Poisson, on/off and incast bursts, over a
// RateClock. The clock's factor scales rates, not the length of on, off and MMPP periods; while it is zero those
// periods stand still. Arrivals are whole picoseconds; equal gaps carry their fraction, so a constant rate does not
// drift. Everything is a function of the stream and of time, not of how the caller cuts it into blocks; a state can be
// saved and returned to.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "models/traffic/params.hpp"
#include "models/traffic/rate_clock.hpp"
#include "sim/random.hpp"
#include "sim/time.hpp"

namespace rxpool {

class Arrivals {
 public:
  /// Validated parameters; streams are named after `name`.
  Arrivals(const ArrivalParams& params, RateClock clock, std::uint64_t seed, std::uint32_t replication,
           std::string_view name);

  /// What is needed to go on from here.
  struct State {
    Time t;                          ///< last arrival (incast: last burst)
    std::uint64_t fraction = 0;      ///< of a picosecond behind t, in 2^-64: equal gaps only
    bool begun = false;              ///< equal gaps: the first arrival is at the start itself
    std::uint32_t phase = 0;         ///< on_off: 0 on, 1 off; mmpp: index of the state
    Time phase_end = Time::never();  ///< end of the present period
    std::uint64_t draws = 0;         ///< exponentials taken
    std::uint64_t period_draws = 0;  ///< position of the stream of periods
    std::uint32_t frame = 0;         ///< incast: next frame of the burst; 0 = the next burst is not drawn
    std::uint64_t jitter_draws = 0;  ///< incast: position of the jitter stream before this burst
    Time last;                       ///< incast: last frame
  };

  /// Next arrivals in time order and, with incast, the sender of each. Fewer than asked for only at the end.
  std::size_t fill(std::span<Time> out, std::span<std::uint32_t> senders);

  State save() const;
  void restore(const State& state);
  /// Only for a time after the state's last arrival.
  void set_factor(Time at, double factor);

 private:
  static constexpr std::size_t block = 256;

  bool random_gaps() const { return kind_ == ArrivalKind::poisson || kind_ == ArrivalKind::mmpp; }
  void load_exponentials(std::uint64_t draws);
  double take_exponential();
  std::size_t fill_times(std::span<Time> out);
  std::size_t fill_bursts(std::span<Time> out, std::span<std::uint32_t> senders);
  std::size_t run_random(std::span<Time> out);
  std::size_t run_equal(std::span<Time> out);
  bool step();
  void draw_burst();
  void set_window();
  Time draw_period();

  ArrivalKind kind_;
  PeriodKind periods_;
  double pareto_shape_;
  RateClock clock_;
  std::vector<double> rates_pps_;   ///< of each phase; of bursts with incast
  std::vector<Time> period_means_;  ///< of each phase; empty without phases
  std::uint32_t burst_senders_;
  std::uint32_t burst_frames_;
  double jitter_ps_;
  RandomStream gaps_;
  RandomStream period_random_;
  RandomStream jitter_;

  State state_;
  std::array<double, block> exponentials_;
  std::uint64_t exponentials_base_ = 0;  ///< draws before exponentials_[0]
  std::size_t next_exponential_ = block;
  std::vector<std::pair<Time, std::uint32_t>> burst_;  ///< incast with jitter: (offset, sender), sorted

  /// While the factor is constant and the phase lasts, arrivals before window_end_ need only a gap each.
  bool window_ = false;
  Time window_end_;
  double gap_ps_ = 0;
  std::int64_t gap_whole_ps_ = 0;
  std::uint64_t gap_fraction_ = 0;
};

}  // namespace rxpool
