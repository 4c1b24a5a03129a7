#pragma once
// Congestion control of one connection: how many segments may be under way, and how fast they may leave. The sender
// (models/traffic/tcp/sender.hpp) finds losses and measures; the algorithm draws its conclusions. Rules TC-20 to TC-23.
// Reno (RFC 5681 with byte counting), CUBIC (RFC 9438), DCTCP (RFC 8257), BBR version 1 as Linux has it
// (net/ipv4/tcp_bbr.c). Leaves out: HyStart, proportional rate reduction, undo.

#include <cstdint>
#include <memory>

#include "sim/random.hpp"
#include "sim/time.hpp"

namespace rxpool {

enum class TcpAlgorithm : std::uint8_t { reno, cubic, dctcp, bbr };

/// What one acknowledgement tells (struct rate_sample and what goes with it).
struct AckSample {
  Time now;
  std::uint64_t delivered = 0;  ///< segments delivered since the connection began
  std::uint64_t una = 0;        ///< first segment not acknowledged
  std::uint64_t next = 0;       ///< first segment never sent
  std::uint32_t acked = 0;      ///< newly delivered, SACKed ones included
  std::uint32_t lost = 0;       ///< newly taken for lost
  std::uint32_t in_flight = 0;  ///< after this acknowledgement
  bool ece = false;
  bool window_limited = false;  ///< the window, not the application, held the sender back
  bool in_recovery = false;
  Time rtt = Time::never();           ///< never(): no sample
  Time min_rtt = Time::never();       ///< smallest of the connection so far
  std::uint64_t prior_delivered = 0;  ///< delivered when the newest of the acked segments was sent
  Time interval{0};                   ///< in which delivered - prior_delivered arrived; 0: no sample
  bool app_limited = false;           ///< the sample was taken while the application had nothing to send
};

class CongestionControl {
 public:
  virtual ~CongestionControl() = default;
  virtual void acked(const AckSample& sample) = 0;
  /// A loss, or an echoed mark: at most once per window.
  virtual void congestion(Time now, std::uint32_t in_flight) = 0;
  virtual void timeout(Time now) = 0;
  /// Everything that was under way at the last congestion() has been acknowledged.
  virtual void recovered() {}

  /// Segments that may be under way, at least 1.
  virtual double window() const = 0;
  /// Segments per second; 0: not paced.
  virtual double pacing_pps() const { return 0; }
  virtual bool ecn_capable() const { return false; }
};

struct CongestionParams {
  TcpAlgorithm algorithm = TcpAlgorithm::cubic;
  std::uint32_t initial_window = 10;  ///< segments (RFC 6928)
};

/// `random` only for BBR, which starts its gain cycle at a random phase; it outlives the connection.
std::unique_ptr<CongestionControl> make_congestion_control(const CongestionParams& params, RandomStream& random);

}  // namespace rxpool
