#pragma once
// The link in front of one port: merges the frames of its sources in exact time order (ties: source index) and
// serialises them at the link rate with 8 bytes of preamble and SFD before and a gap of 12 bytes after each. Fractions
// of a picosecond are carried, so 64-byte frames pass a 10 Gbit/s link 14,880,952 times a second for any length of
// time. Pulled by the port in blocks up to an instant: no event and no allocation per packet. Frames that find the link
// busy wait at the sender in order, without limit; while the link is down they are lost there. Left out: propagation
// delay (a constant shift), pause frames.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/packet.hpp"
#include "models/traffic/merge_order.hpp"
#include "models/traffic/source.hpp"
#include "sim/time.hpp"

namespace rxpool {

inline constexpr std::int64_t preamble_bytes = 8;
inline constexpr std::int64_t gap_bytes = 12;

struct WireStatistics {
  std::uint64_t packets = 0;         ///< pulled: arrived at the port
  std::uint64_t bytes = 0;           ///< of these, frame bytes with FCS
  std::uint64_t carrier_errors = 0;  ///< frames lost at the sender because the link was down; never packets
  Time longest_wait;                 ///< longest time that a pulled packet had waited for the link
};

class Wire {
 public:
  /// Link speed in Mbit/s, 0 (down) … 1,600,000; the sources in ascending index(), not owned.
  Wire(std::uint32_t link_mbps, const std::vector<Source*>& sources);

  /// Next packets, in order, whose last bit has arrived at or before `until`; fills at most out.size(). Fewer than that
  /// means that there are no more until then, or that known_until() is earlier.
  std::size_t pull(Time until, std::span<Packet> out);
  /// Arrival of the next packet, never() if there is none; while a source cannot say yet, or the link is down, an
  /// instant that is not after it.
  Time next_arrival();
  /// Frames offered before this instant are known; never() with open-loop sources.
  Time known_until() const;

  /// Link speed of frames whose first bit leaves at or after `at`; 0 takes the link down. Not before the last packet
  /// pulled; changes may be announced in any order.
  void set_link(Time at, std::uint32_t link_mbps);
  /// Multiplies the scheduled rate of the source with this index() from `at` on. Not before the last packet pulled.
  void set_rate_factor(std::uint16_t source_index, Time at, double factor);

  const WireStatistics& statistics() const { return statistics_; }

 private:
  static constexpr std::size_t block = 128;

  /// The frames of one source that were produced and not yet pulled.
  struct Lane {
    Source* source = nullptr;
    std::uint64_t next_id = 0;
    std::size_t next = 0;
    std::size_t count = 0;
    bool open = true;                  ///< the source can be asked for more
    Time known_until = Time::never();  ///< if it cannot: from here on it does not know yet
    std::array<Offer, block> offers;
  };
  /// Time per byte is (ps_per_byte + remainder / mbps) ps; mbps 0 = down.
  struct Speed {
    Time from;
    std::int64_t mbps = 0;
    std::int64_t ps_per_byte = 0;
    std::int64_t remainder = 0;
  };
  /// An instant with its fraction of a picosecond, in units of 1 / mbps.
  struct Exact {
    std::int64_t ps = 0;
    std::int64_t fraction = 0;
  };

  static Speed speed_of(Time from, std::uint32_t link_mbps);
  static Exact whole(Exact instant);
  static Exact after(Exact start, std::int64_t bytes, const Speed& speed);
  bool steady() const {
    const Speed& speed = speeds_[speed_];
    return speed_ + 1 == speeds_.size() && speed.mbps != 0 && speed.remainder == 0 && free_.fraction == 0;
  }
  Exact start_of(const Offer& offer, std::size_t& speed) const;
  std::size_t pull_steady(Time until, std::span<Packet> out);
  Lane* head();
  bool merge();
  void refill(Lane& lane);

  std::vector<Lane> lanes_;
  MergeOrder merge_;
  std::span<const std::uint64_t> order_;  ///< lanes of the next frames, as merge keys; unused with one source
  std::size_t next_in_order_ = 0;
  std::vector<Speed> speeds_;  ///< in time order
  std::size_t speed_ = 0;      ///< in force for the last frame taken
  Exact free_;                 ///< the link can start the next frame
  Time last_arrival_;
  WireStatistics statistics_;
};

}  // namespace rxpool
