#include "models/traffic/tcp/source.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/traffic/rate_clock.hpp"
#include "sim/distribution.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

/// Segmentation offload hands a millisecond's worth to the link at once, at most 64 KiB (sk_pacing_shift).
constexpr double burst_s = 1e-3;
constexpr double most_burst = 44;

const TcpSourceParams& checked(const TcpSourceParams& params, const std::string& name) {
  params.validate(name);
  return params;
}

FlowParams tcp_flows(FlowParams flows) {
  flows.protocol = protocol_tcp;
  flows.addresses = AddressKind::per_flow;
  return flows;
}

}  // namespace

TcpSource::TcpSource(std::string name, std::uint16_t index, const TcpSourceParams& params,
                     std::uint32_t first_connection, std::uint64_t seed, std::uint32_t replication)
    : Source(std::move(name), index),
      flows_(tcp_flows(checked(params, this->name()).flows), seed, replication, this->name()),
      path_(params.path, seed, replication, this->name()),
      random_(seed, replication, this->name() + "/tcp"),
      first_connection_(first_connection),
      frame_bytes_(params.frame_bytes),
      segment_bytes_(
          static_cast<std::uint32_t>(params.frame_bytes - fcs_bytes -
                                     header_bytes(params.flows.ip_version, protocol_tcp, params.flows.vlan != 0))),
      headers_({.ip_version = params.flows.ip_version,
                .protocol = protocol_tcp,
                .tagged = params.flows.vlan != 0,
                .vlan = static_cast<std::uint16_t>(params.flows.vlan),
                .source = index}),
      transfer_segments_(static_cast<std::uint64_t>(std::ceil(params.transfer_kib * 1024 / segment_bytes_))),
      every_(time_of_ms(params.every_ms)),
      stop_(time_of_ms(params.stop_ms)),
      timers_(flows_.size()) {
  connections_.reserve(flows_.size());
  for (std::uint32_t flow = 0; flow < flows_.size(); ++flow) {
    connections_.emplace_back(
        TcpSender(make_congestion_control(params.congestion, random_), initial_window_bytes / segment_bytes_, stats_));
    Connection& connection = connections_.back();
    connection.request_at = time_of_ms(params.start_ms) + to_time(random_.next_unit() * params.spread_ms * 1e9);
    set_timer(flow);
  }
}

// ---- What the link asks for.

std::size_t TcpSource::produce(std::span<Offer> out) {
  advance(out.size());
  const std::size_t count = std::min(out.size(), ready_.size());
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = ready_.front();
    ready_.pop_front();
  }
  return count;
}

Time TcpSource::known_until() const {
  const bool over = next_instant() == Time::never() && std::all_of(connections_.begin(), connections_.end(),
                                                                   [](const Connection& c) { return c.sender.done(); });
  if (over || horizon_ == Time::never()) return Time::never();
  return path_.earliest_arrival(horizon_);
}

void TcpSource::withdraw(std::size_t) {
  throw BugError("tcp source: asked to take frames back");
}

void TcpSource::set_rate_factor(Time, double) {
  throw BugError("tcp source: has no rate that could be changed");
}

std::size_t TcpSource::headers(const Packet& packet, std::span<std::byte> out) const {
  return headers_.write(flows_[packet.flow], packet.frame_bytes, TcpSegment::unpacked(packet.variant).number, out);
}

double TcpSource::mean_window() const {
  double sum = 0;
  for (const Connection& connection : connections_) sum += connection.sender.control().window();
  return sum / static_cast<double>(connections_.size());
}

// ---- The senders' time.

void TcpSource::acknowledge(Time sent, const TcpAck& ack) {
  const Time at = path_.acknowledged(sent);
  ensure(at >= horizon_, "tcp source: an acknowledgement from before the host's front");
  acks_.insert_sorted({at, ack}, [](const Arriving& a, const Arriving& b) {
    return a.at < b.at || (a.at == b.at && a.ack.connection < b.ack.connection);
  });
}

Time TcpSource::next_instant() const {
  const Time ack = acks_.empty() ? Time::never() : acks_.front().at;
  return std::min(ack, key_time(timers_.winner_key()));
}

/// Until enough frames are under way, or what the host does decides.
void TcpSource::advance(std::size_t wanted) {
  const Time front = front_ ? front_() : Time{0};
  const Time horizon = front == Time::never() ? front : path_.acknowledged(front);
  while (ready_.size() < wanted) {
    const Time next = next_instant();
    if (next >= horizon) {
      horizon_ = std::max(horizon_, horizon);
      return;
    }
    horizon_ = std::max(horizon_, next);
    step(next);
  }
}

/// One acknowledgement, or one connection's timer; acknowledgements first.
void TcpSource::step(Time now) {
  std::uint32_t flow = 0;
  if (!acks_.empty() && acks_.front().at == now) {
    const TcpAck ack = acks_.front().ack;
    acks_.pop_front();
    flow = ack.connection - first_connection_;
    Connection& connection = connections_[flow];
    connection.sender.acknowledge(now, ack);
    finish_transfers(connection, now);
  } else {
    flow = timers_.winner();
    Connection& connection = connections_[flow];
    if (connection.request_at <= now) request(connection, now);
    if (connection.sender.timeout_at() <= now) connection.sender.timed_out(now);
  }
  send(now, flow);
  set_timer(flow);
}

void TcpSource::request(Connection& connection, Time now) {
  connection.request_at = every_.ps > 0 ? now + every_ : Time::never();
  if (now >= stop_) {
    connection.request_at = Time::never();
    connection.sender.forget_unsent();
    return;
  }
  if (transfer_segments_ == 0) {
    connection.sender.offer(std::uint64_t{1} << TcpSegment::number_bits);
    connection.request_at = stop_;
    return;
  }
  connection.sender.offer(transfer_segments_);
  if (connection.transfers_waiting++ != 0) return;
  connection.transfer_began = now;
  connection.transfer_ends = connection.sender.offered();
}

void TcpSource::finish_transfers(Connection& connection, Time now) {
  while (connection.transfers_waiting != 0 && connection.sender.una() >= connection.transfer_ends) {
    completion_.record(now - connection.transfer_began);
    connection.transfer_ends += transfer_segments_;
    connection.transfer_began += every_;
    --connection.transfers_waiting;
  }
}

/// Everything that windows and pacing let go now.
void TcpSource::send(Time now, std::uint32_t flow) {
  Connection& connection = connections_[flow];
  connection.waits_for_pacing = false;
  while (connection.sender.may_send()) {
    const double pps = connection.sender.control().pacing_pps();
    if (pps <= 0) {
      emit(now, flow, connection.sender.send(now));
      continue;
    }
    if (connection.paced_until > now) {
      connection.waits_for_pacing = true;
      return;
    }
    const auto burst = static_cast<std::uint32_t>(std::clamp(pps * burst_s, 1.0, most_burst));
    std::uint32_t sent = 0;
    do {
      emit(now, flow, connection.sender.send(now));
    } while (++sent < burst && connection.sender.may_send());
    connection.paced_until = now + to_time(sent * 1e12 / pps);
  }
}

void TcpSource::emit(Time now, std::uint32_t flow, std::uint64_t number) {
  const Path::Passage passage = path_.pass(now, frame_bytes_, connections_[flow].sender.control().ecn_capable());
  if (passage.arrives == Time::never()) return;
  TcpSegment segment;
  segment.number = number;
  segment.connection = first_connection_ + flow;
  segment.ce = passage.marked;
  Offer offer;
  offer.variant = segment.packed();
  offer.flow = flow;
  offer.frame_bytes = static_cast<std::uint16_t>(frame_bytes_);
  offer.ip_protocol = protocol_tcp;
  offer.flags = packet_flag::segment;
  offer.at = passage.arrives;
  ready_.push_back(offer);
}

void TcpSource::set_timer(std::uint32_t flow) {
  const Connection& connection = connections_[flow];
  Time at = std::min(connection.request_at, connection.sender.timeout_at());
  if (connection.waits_for_pacing) at = std::min(at, connection.paced_until);
  timers_.set_key_only(flow, at == Time::never() ? never_key() : make_key(at, EventClass::timer, flow));
  timers_.update(flow);
}

}  // namespace rxpool
