#pragma once
// The sending end of one connection: what is under way, what is lost, when to give up waiting, how fast data arrives.
// A segment is lost when one that was sent three transmissions later has arrived (RFC 9002 6.1.1, the packet threshold
// of RACK, RFC 8985), which holds for retransmissions too; else the retransmission timer decides (RFC 6298 with Linux'
// minimum of 200 ms). After a loss the window goes down once per window of data (RFC 6675). Rules TC-10 to TC-14.
// Leaves out: the handshake, tail loss probes, spurious-timeout detection, Nagle, zero-window probes (acknowledgements
// are not lost).

#include <cstdint>
#include <memory>
#include <vector>

#include "models/traffic/tcp/congestion_control.hpp"
#include "models/traffic/tcp/fifo.hpp"
#include "models/traffic/tcp/segment.hpp"
#include "sim/time.hpp"

namespace rxpool {

struct TcpSenderStats {
  std::uint64_t segments = 0;         ///< TcpOutSegs, retransmissions included
  std::uint64_t retransmissions = 0;  ///< TcpRetransSegs
  std::uint64_t timeouts = 0;         ///< TCPTimeouts
  std::uint64_t reductions = 0;       ///< windows in which a loss was seen
  std::uint64_t delivered = 0;        ///< segments known to have arrived
};

class TcpSender {
 public:
  /// `window`: segments the receiver can take before its first acknowledgement. Senders of one source share `stats`.
  TcpSender(std::unique_ptr<CongestionControl> control, std::uint64_t window, TcpSenderStats& stats);

  /// The application has this many segments more.
  void offer(std::uint64_t segments) { offered_ += segments; }
  /// What it has not sent yet, it does not send.
  void forget_unsent() { offered_ = next_; }

  void acknowledge(Time now, const TcpAck& ack);
  /// Retransmission timer, never() when nothing is under way.
  Time timeout_at() const { return timeout_at_; }
  void timed_out(Time now);

  /// May a segment leave now, pacing apart?
  bool may_send();
  /// Sends the next one and returns its number.
  std::uint64_t send(Time now);

  std::uint64_t una() const { return una_; }
  std::uint64_t next() const { return next_; }
  std::uint64_t offered() const { return offered_; }
  std::uint32_t in_flight() const { return in_flight_; }
  std::uint64_t delivered() const { return delivered_; }
  bool done() const { return una_ == offered_; }
  const CongestionControl& control() const { return *control_; }

 private:
  /// A segment between una and next, and its last transmission.
  struct Segment {
    std::uint64_t transmission = 0;
    std::uint64_t delivered = 0;  ///< of the connection when it was sent
    Time sent;
    Time delivered_at;  ///< last delivery before it was sent
    Time first_sent;    ///< transmission that began the sampling interval
    bool arrived = false;
    bool lost = false;
    bool again = false;  ///< sent more than once
    bool app_limited = false;
  };
  struct Transmission {
    std::uint64_t transmission;
    std::uint64_t number;
  };

  Segment& segment(std::uint64_t number) { return segments_[number & (segments_.size() - 1)]; }
  void grow();
  void arrived(Time now, std::uint64_t number, AckSample& sample);
  void find_losses(AckSample& sample);
  void lose(std::uint64_t number);
  void finish_sample(AckSample& sample);
  void measure_rtt(Time rtt);
  void start_timer(Time now);
  void congestion(Time now);
  bool next_lost(std::uint64_t& number);

  std::unique_ptr<CongestionControl> control_;
  std::vector<Segment> segments_;  ///< ring, power of two
  std::uint64_t una_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t offered_ = 0;
  std::uint64_t window_end_;
  std::uint32_t in_flight_ = 0;

  Fifo<Transmission> order_;  ///< in the order they left
  std::uint64_t transmissions_ = 0;
  std::uint64_t newest_arrived_ = 0;  ///< transmission
  Fifo<std::uint64_t> lost_;          ///< to be sent again; some may have arrived meanwhile

  enum class Recovery : std::uint8_t { none, losses, timeout };
  Recovery recovery_ = Recovery::none;
  std::uint64_t recovery_ends_ = 0;  ///< una at which what was under way at the congestion is through
  bool window_limited_ = false;

  std::uint64_t delivered_ = 0;
  Time delivered_at_{0};
  Time first_sent_{0};
  std::uint64_t app_limited_until_ = 0;  ///< delivered count

  Time srtt_{0};
  Time rttvar_{0};
  Time min_rtt_ = Time::never();
  Time rto_;
  Time timeout_at_ = Time::never();
  TcpSenderStats& stats_;
};

}  // namespace rxpool
