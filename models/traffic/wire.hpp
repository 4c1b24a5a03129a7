#pragma once
// The link in front of one port: merges the frames of its sources in exact time order (ties: source index) and
// serialises them at the link rate with 8 bytes of preamble and SFD before and a gap of 12 bytes after each. Fractions
// of a picosecond are carried, so 64-byte frames pass a 10 Gbit/s link 14,880,952 times a second for any length of
// time. Pulled by the port in blocks up to an instant: no event and no allocation per packet. Frames that find the link
// busy wait at the sender in order, without limit. Left out: propagation delay (a constant shift), pause frames.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/packet.hpp"
#include "models/traffic/source.hpp"
#include "sim/time.hpp"

namespace rxpool {

inline constexpr std::uint32_t preamble_bytes = 8;
inline constexpr std::uint32_t gap_bytes = 12;

struct WireStatistics {
  std::uint64_t packets = 0;         ///< arrived at the port
  std::uint64_t bytes = 0;           ///< of these, frame bytes with FCS
  std::uint64_t carrier_errors = 0;  ///< frames offered while the link was down: lost at the sender, never offered here
  Time longest_wait;                 ///< longest time a frame waited at the sender for the link
};

class Wire {
 public:
  /// Link speed in Mbit/s; the sources in ascending index() order, not owned.
  Wire(std::uint32_t link_mbps, std::vector<Source*> sources);

  /// Next packets, in order, whose last bit has arrived at or before `until`; fills at most out.size().
  std::size_t pull(Time until, std::span<Packet> out);
  /// Arrival of the next packet, never() if there is none. Exact unless a source answers "not known until": then it is
  /// no later than the next arrival can be.
  Time next_arrival();
  /// Instant before which everything is known; never() with open-loop sources.
  Time known_until();

  /// From `at` on (frames whose first bit leaves at or after it); 0 takes the link down. `at` must not be before the
  /// last packet pulled.
  void set_link(Time at, std::uint32_t link_mbps);
  /// Multiplies the rate of the source with this index() from `at` on; not before the last packet pulled.
  void set_rate_factor(std::uint16_t source_index, Time at, double factor);

  const WireStatistics& statistics() const { return statistics_; }

 private:
  static constexpr std::size_t block = 64;

  /// The frames of one source that were produced and not yet pulled.
  struct Lane {
    Source* source = nullptr;
    std::size_t next = 0;
    std::size_t count = 0;
    std::uint64_t next_id = 0;
    bool blocked = false;  ///< the source cannot say yet what comes next
    std::array<Offer, block> offers;
  };
  struct SpeedChange {
    Time at;
    std::uint32_t mbps = 0;
  };

  std::vector<Lane> lanes_;
  std::vector<SpeedChange> changes_;  ///< still to come, in time order
  WireStatistics statistics_;
};

}  // namespace rxpool
