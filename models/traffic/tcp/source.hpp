#pragma once
// TCP senders that share one path and react to what the host acknowledges:
//
//     TcpSender (window, losses) -> pacing -> Path (queue, loss, marks, delay) -> the host's link
//          ^------------------ acknowledgement, half a round trip later ---------------'
//
// Responsive: what is sent follows from acknowledgements, so the future is known only so far. No acknowledgement leaves
// the host before its front, and none of its consequences is back before a round trip later: up to there the source
// works off its own instants (acknowledgements, timers, paced bursts, requests) in time order, whenever it is asked.
// It has no events. Flows are endless, or transfers of a size that begin once or periodically; all at once is incast.
// Rules TC-1 to TC-23. Leaves out: handshake and close, rate changes at run time.

#include <functional>
#include <memory>
#include <vector>

#include "models/traffic/flow_table.hpp"
#include "models/traffic/headers.hpp"
#include "models/traffic/path.hpp"
#include "models/traffic/source.hpp"
#include "models/traffic/tcp/params.hpp"
#include "models/traffic/tcp/sender.hpp"
#include "sim/histogram.hpp"
#include "sim/random.hpp"
#include "sim/winner_tree.hpp"

namespace rxpool {

class TcpSource final : public Source, public TcpPeer {
 public:
  /// Bytes that a receiver can take at first: half of tcp_rmem[1].
  static constexpr std::uint64_t initial_window_bytes = 65535;

  /// Its connections are numbered from `first_connection` on.
  TcpSource(std::string name, std::uint16_t index, const TcpSourceParams& params, std::uint32_t first_connection,
            std::uint64_t seed, std::uint32_t replication);

  /// Says the earliest instant at which an acknowledgement may still leave the host. Without one: the start.
  void set_front(std::function<Time()> front) { front_ = std::move(front); }
  void acknowledge(Time sent, const TcpAck& ack) override;

  std::size_t produce(std::span<Offer> out) override;
  Time known_until() const override;
  void withdraw(std::size_t count) override;
  void set_rate_factor(Time at, double factor) override;

  std::uint32_t flow_count() const override { return flows_.size(); }
  FlowKey flow_key(std::uint32_t flow) const override { return flows_[flow]; }
  FlowKey key(const Packet& packet) const override { return flows_[packet.flow]; }
  std::size_t headers(const Packet& packet, std::span<std::byte> out) const override;

  std::uint32_t first_connection() const { return first_connection_; }
  /// Payload of a segment.
  std::uint32_t segment_bytes() const { return segment_bytes_; }
  const TcpSender& sender(std::uint32_t flow) const { return connections_[flow].sender; }
  const TcpSenderStats& stats() const { return stats_; }
  const Path& path() const { return path_; }
  /// The senders' own instants before this are worked off.
  Time worked_until() const { return horizon_; }
  /// Mean congestion window of its connections, segments.
  double mean_window() const;
  /// From the request to the last acknowledgement of each transfer.
  Histogram& completion() { return completion_; }

 private:
  struct Connection {
    explicit Connection(TcpSender made) : sender(std::move(made)) {}
    TcpSender sender;
    Time request_at;         ///< next transfer begins; never(): none
    Time paced_until{0};     ///< the last burst takes until then
    Time transfer_began{0};  ///< of the oldest transfer that is not through
    std::uint64_t transfer_ends = 0;
    std::uint64_t transfers_waiting = 0;  ///< begun while an older one was not through
    bool waits_for_pacing = false;
  };
  struct Arriving {
    Time at;
    TcpAck ack;
  };

  Time next_instant() const;
  void advance(std::size_t wanted);
  void step(Time now);
  void request(Connection& connection, Time now);
  void finish_transfers(Connection& connection, Time now);
  void send(Time now, std::uint32_t flow);
  void emit(Time now, std::uint32_t flow, std::uint64_t number);
  void set_timer(std::uint32_t flow);

  FlowTable flows_;
  Path path_;
  RandomStream random_;
  std::uint32_t first_connection_;
  std::uint32_t frame_bytes_;
  std::uint32_t segment_bytes_;
  HeaderTemplate headers_;
  std::uint64_t transfer_segments_;  ///< 0: endless
  Time every_;
  Time stop_;
  TcpSenderStats stats_;
  Histogram completion_;
  std::vector<Connection> connections_;
  WinnerTree timers_;
  Fifo<Arriving> acks_;  ///< by time, then connection
  Fifo<Offer> ready_;    ///< on their way, in the order of arrival
  std::function<Time()> front_;
  Time horizon_{0};  ///< instants of the senders before it are worked off
};

}  // namespace rxpool
