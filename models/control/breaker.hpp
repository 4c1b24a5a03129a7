#pragma once
// The circuit breaker of one RX queue: a last resort that protects the rest of the host against traffic that does not
// control its congestion.
//
//     closed -> holding -> open -> half_open -> closed          hard: from anywhere, back to open
//
// It must not act as congestion control, so it trips only after congestion-controlled senders had time to react: a hold
// time of at least a configured round trip, never the simulator's knowledge. The hold ends early when the free pages
// will reach the low watermark sooner than the breaker can react. Rules CT-30 to CT-38. Leaves out who is refused:
// that is the gate in the driver (models/xdp/program.hpp).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/time.hpp"

namespace rxpool {

enum class BreakerThreshold : std::uint8_t { none, pages, working_set, zone_share, time_to_oom, share_or_oom };

struct BreakerParams {
  BreakerThreshold threshold = BreakerThreshold::none;
  double pages = 32768;       ///< threshold pages: held above it
  double factor = 4;          ///< threshold working_set: times the last steady estimate, or the ring if that is more
  double share = 0.2;         ///< thresholds zone_share, share_or_oom: of the zone's pages
  Time horizon = seconds(1);  ///< threshold time_to_oom: at this queue's growth the zone is at its low mark within it
  Time reference_rtt = milliseconds(200);
  Time hold = milliseconds(200);    ///< over the threshold for so long before it trips
  Time reaction = milliseconds(5);  ///< sooner than this it cannot have an effect: the hold ends
  Time forecast = milliseconds(5);  ///< over which the slopes of free pages and held are taken
  double close_share = 0.5;         ///< held below this share of the threshold: may close
  Time open = milliseconds(200);    ///< at least so long before it probes; doubles with every failed probe, to 16 times
  Time probe = milliseconds(200);   ///< of letting a share through without harm before it closes
};

enum class BreakerState : std::uint8_t { closed, holding, open, half_open, hard };
inline constexpr std::size_t breaker_states = 5;
std::string_view breaker_state_name(BreakerState state);

struct BreakerSample {
  Time now;
  double held = 0;         ///< pages of this queue
  double working_set = 0;  ///< last steady estimate; 0 unknown
  double ring = 0;         ///< pages that fill the queue's descriptors
  double free_pages = 0;   ///< of the zone
  double low = 0;          ///< its low watermark
  double high = 0;         ///< its high watermark
  double zone_pages = 0;   ///< all it manages
};

struct BreakerStats {
  std::uint64_t trips = 0;
  std::uint64_t early_trips = 0;  ///< of these, the hold was ended by the forecast
  std::uint64_t hard = 0;         ///< entries into the hard state
  std::uint64_t failed_probes = 0;
  Time first_over = Time::never();  ///< first time over the threshold
  Time first_trip = Time::never();
  Time first_close = Time::never();  ///< first return to closed after a trip
};

class CircuitBreaker {
 public:
  explicit CircuitBreaker(const BreakerParams& params) : params_(params) {}
  void observe(const BreakerSample& sample);
  BreakerState state() const { return state_; }
  /// Pages of held at which it is over, as of the last sample; for time_to_oom what held would be at the low watermark.
  double limit() const { return limit_; }
  const BreakerStats& stats() const { return stats_; }

 private:
  double limit_of(const BreakerSample& sample) const;
  /// Held at which it is over because its own growth takes the free pages to the low watermark within `horizon`.
  double limit_by_forecast(const BreakerSample& sample, Time horizon) const;
  void update_slopes(const BreakerSample& sample);
  bool low_before_next_look(const BreakerSample& sample) const;
  bool low_within_reaction(const BreakerSample& sample) const;
  void enter(BreakerState state, Time now);
  void trip(Time now, bool early);

  BreakerParams params_;
  BreakerState state_ = BreakerState::closed;
  BreakerStats stats_;
  Time since_;
  Time last_;
  bool started_ = false;
  double limit_ = 0;
  double trip_limit_ = 0;  ///< limit when it tripped; closing is measured by it
  std::uint32_t open_factor_ = 1;
  // Slopes in pages per second: exponential means of the differences.
  double held_ = 0;
  double free_ = 0;
  double held_slope_ = 0;
  double free_slope_ = 0;
  double free_fall_ = 0;  ///< pages that went away between the last two samples
  Time step_;             ///< between them
};

/// What a threshold is measured against, in pages.
struct BreakerScale {
  double ring = 0;        ///< that fill a queue's descriptors
  double zone_pages = 0;  ///< that the smallest zone of a queue manages
};

/// One line for each parameter that defeats the breaker's purpose, with the reason; `where`: the key of the parameters.
std::vector<std::string> breaker_warnings(const BreakerParams& params, const BreakerScale& scale,
                                          const std::string& where);

}  // namespace rxpool
