#pragma once
// What a traffic source is asked to send: plain values with default, unit and limits beside each field; validate()
// names the field, the value and the range. Times are relative to the start of the run, warm-up included.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace rxpool {

inline constexpr std::uint32_t min_frame_bytes = 64;  ///< Ethernet minimum, with FCS
inline constexpr std::uint32_t max_frame_bytes =
    9234;  ///< 9216 and an 802.1Q tag and FCS: the largest that drivers take

enum class ArrivalKind {
  constant,  ///< equal gaps
  poisson,
  mmpp,    ///< Poisson whose rate follows a Markov chain through `states` in turn
  on_off,  ///< equal gaps while on, silence while off
  incast,  ///< every sender's answer at once, at equal intervals
};
enum class PeriodKind { exponential, pareto };
enum class SizeKind { fixed, imix, empirical };
enum class AddressKind {
  per_flow,    ///< a table of flows
  per_packet,  ///< a spoofed flood: every packet draws its addresses and ports
};

struct MmppState {
  double rate_pps = 0;  ///< packets/s, 0 … 1e9
  double mean_us = 0;   ///< mean stay, exponential, 0.001 … 1e9 µs
};

struct ArrivalParams {
  ArrivalKind kind = ArrivalKind::poisson;
  double rate_pps = 1e6;  ///< long-run mean, 1e-3 … 1e9 packets/s; mmpp takes its states' rates instead

  std::vector<MmppState> states;  ///< mmpp: 2 … 64 states, visited in turn, starting with the first

  PeriodKind periods = PeriodKind::exponential;  ///< on_off: law of both periods
  double on_mean_us = 100;    ///< on_off: 0.001 … 1e9 µs; while on, the rate is rate_pps (on + off) / on
  double off_mean_us = 900;   ///< on_off: 0.001 … 1e9 µs
  double pareto_shape = 1.5;  ///< on_off with pareto: 1.01 … 100; infinite variance up to 2

  std::uint32_t incast_senders = 32;  ///< incast: 1 … 65536
  std::uint32_t incast_frames = 16;   ///< incast: frames of one answer, 1 … 65536; the product at most 1048576
  double incast_jitter_us = 0;        ///< incast: each sender starts uniformly within this, 0 … one burst interval
};

struct SizeWeight {
  std::uint32_t frame_bytes = 64;  ///< with FCS, min_frame_bytes … max_frame_bytes
  double weight = 1;               ///< relative frequency, 0 … 1e12
};

struct SizeParams {
  SizeKind kind = SizeKind::fixed;
  std::uint32_t frame_bytes = 64;  ///< fixed: with FCS, min_frame_bytes … max_frame_bytes
  std::vector<SizeWeight> table;   ///< empirical: 1 … 65536 sizes
};

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;  ///< inclusive, not below first
};

struct FlowParams {
  AddressKind addresses = AddressKind::per_flow;
  std::uint32_t count = 10'000;                ///< flows, 1 … 16777216, and no more than the ranges can tell apart
  std::uint32_t ip_version = 4;                ///< 4 or 6
  std::uint32_t protocol = 17;                 ///< 17 UDP or 6 TCP
  std::string sources = "198.18.0.0/16";       ///< prefix (RFC 2544 range); IPv6 when empty: 2001:2:0:1::/64 (RFC 5180)
  std::string destinations = "198.19.0.1/32";  ///< prefix; with ip_version 6 the defaults become RFC 5180's
  PortRange source_ports{1024, 65535};
  PortRange destination_ports{9, 9};  ///< discard
  double zipf_exponent = 0;           ///< popularity of flow i ~ 1 / (i + 1)^exponent, 0 (uniform) … 10
  std::uint32_t vlan = 0;             ///< 802.1Q VLAN id 1 … 4094; 0 = no tag
  std::uint32_t tcp_flags = 0x10;     ///< flag byte of TCP frames, 0 … 255; 0x10 ACK, 0x02 SYN
};

/// From `at_ms` on the rate is `factor` times the source's own.
struct RatePoint {
  double at_ms = 0;   ///< 0 … 4.6e9 ms, strictly increasing in a schedule
  double factor = 1;  ///< 0 … 1e6
  bool ramp = false;  ///< the factor moves linearly from here to the next point instead of staying
};

struct SourceParams {
  ArrivalParams arrivals;
  SizeParams sizes;
  FlowParams flows;
  double start_ms = 0;                                       ///< 0 … 4.6e9 ms
  double stop_ms = std::numeric_limits<double>::infinity();  ///< after start_ms; infinity = to the end
  std::vector<RatePoint> schedule;                           ///< empty = factor 1

  /// Throws InputError with `where` (for example "traffic.flood") before the field's name.
  void validate(std::string_view where) const;
};

struct CaptureParams {
  std::string path;         ///< pcap or pcapng, Ethernet or raw IP
  double time_scale = 1;    ///< gaps are multiplied by it, 1e-6 … 1e6; 2 = half as fast
  double rate_scale = 1;    ///< frames sent per captured frame, 0.001 … 1000; copies get source addresses of their own
  bool loop = false;        ///< start again after the last frame and one mean gap
  bool cut_frames = false;  ///< accept frames of which only the beginning was captured: the rest is zeros
  double start_ms = 0;      ///< first frame, 0 … 4.6e9 ms
  double stop_ms = std::numeric_limits<double>::infinity();  ///< after start_ms
  std::vector<RatePoint> schedule;                           ///< factor of the replay's speed; empty = 1

  void validate(std::string_view where) const;
};

}  // namespace rxpool
