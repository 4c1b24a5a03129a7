#pragma once
// How the rate of a source changes over time: start, stop, a schedule of steps and ramps, and factors set while the run
// is going on. The product is a piecewise linear function of time; the next arrival is where its integral has grown by
// what the arrival process asks for.

#include <cstddef>
#include <span>
#include <vector>

#include "models/traffic/params.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// Start of the run to an instant given in milliseconds; infinity is never().
Time time_of_ms(double ms);

class RateClock {
 public:
  struct Piece {
    Time begin;
    Time end;           ///< exclusive; never() for the last
    double factor = 0;  ///< at begin
    double slope = 0;   ///< per picosecond
  };

  RateClock(Time start, Time stop, std::span<const RatePoint> schedule);

  /// Multiplies the schedule by `factor` from `at` until the next instant for which a factor is set.
  void set_factor(Time at, double factor);

  std::size_t piece_at(Time t) const;
  const Piece& piece(std::size_t index) const { return pieces_[index]; }
  /// Nothing comes after this instant: its piece is the last one and its factor is zero.
  bool ends_at(std::size_t index) const { return pieces_[index].end == Time::never() && pieces_[index].factor == 0.0; }

  /// Moves t within piece `index` until `demand` arrivals at `rate_per_ps` and the piece's factor have come, but not to
  /// `limit` or the end of the piece. True: t is that instant. False: t is the earlier of the two, and `demand` is what
  /// is left.
  bool advance(std::size_t index, Time& t, double& demand, double rate_per_ps, Time limit) const;

 private:
  struct Factor {
    Time at;
    double value;
  };
  void build();

  std::vector<Piece> schedule_;
  std::vector<Factor> factors_;  ///< in time order, from time 0 with 1
  std::vector<Piece> pieces_;
};

}  // namespace rxpool
