#include "models/stack/tcp_socket.hpp"

#include <algorithm>
#include <tuple>

#include "sim/error.hpp"

namespace rxpool {

void TcpSocket::connect(const TcpConnectionParams& params, TcpPeer& peer) {
  ensure(endpoints_.empty() || endpoints_.back().number < params.number, "tcp socket: connections out of order");
  endpoints_.push_back({params.number, TcpConnection(params, memory_), &peer});
}

const TcpSocket::Endpoint* TcpSocket::find(std::uint32_t connection) const {
  // Sources number their connections without gaps: mostly it is where it would be if they were the only ones.
  if (endpoints_.empty() || connection < endpoints_.front().number) return nullptr;
  const std::size_t guess = connection - endpoints_.front().number;
  if (guess < endpoints_.size() && endpoints_[guess].number == connection) return &endpoints_[guess];
  const auto found = std::lower_bound(endpoints_.begin(), endpoints_.end(), connection,
                                      [](const Endpoint& e, std::uint32_t number) { return e.number < number; });
  return found != endpoints_.end() && found->number == connection ? &*found : nullptr;
}

TcpConnection::Arrival TcpSocket::judge(const TcpSegment& segment) const {
  return find(segment.connection)->connection.judge(segment.number);
}

TcpConnection::Arrival TcpSocket::receive(Core& core, SkbId id) {
  const Skb& skb = slab_[id];
  const TcpSegment segment = TcpSegment::unpacked(skb.packet.variant);
  Endpoint& endpoint = *find(segment.connection);
  const TcpConnection::Arrival arrival = endpoint.connection.receive(core.now(), segment, skb.truesize);
  send_acks(core, endpoint);
  switch (arrival) {
    case TcpConnection::Arrival::in_order:
      rmem_alloc_ += skb.truesize;
      push(id, core.now());
      release(endpoint, core.now());
      break;
    case TcpConnection::Arrival::beyond: {
      rmem_alloc_ += skb.truesize;
      ++tcp_stats_.out_of_order;
      const Waiting one{segment.connection, segment.number, id};
      const auto after =
          std::upper_bound(waiting_.begin(), waiting_.end(), one, [](const Waiting& a, const Waiting& b) {
            return std::tie(a.connection, a.number) < std::tie(b.connection, b.number);
          });
      waiting_.insert(after, one);
      break;
    }
    case TcpConnection::Arrival::old:
      ++tcp_stats_.old;
      break;
    case TcpConnection::Arrival::no_buffer:
      ++stats().rcvbuf_errors;
      break;
    case TcpConnection::Arrival::no_tcp_memory:
      ++tcp_stats_.no_memory;
      break;
  }
  observe(core.now());
  return arrival;
}

/// What waited for a gap that has closed can be read now.
void TcpSocket::release(const Endpoint& endpoint, Time visible) {
  const auto first = std::lower_bound(waiting_.begin(), waiting_.end(), endpoint.number,
                                      [](const Waiting& w, std::uint32_t number) { return w.connection < number; });
  auto last = first;
  while (last != waiting_.end() && last->connection == endpoint.number && last->number < endpoint.connection.next()) {
    push(last->id, visible);
    ++last;
  }
  waiting_.erase(first, last);
}

void TcpSocket::send_acks(Core& core, Endpoint& endpoint) {
  for (std::uint32_t i = 0; i < endpoint.connection.acks_due(); ++i) {
    core.charge(Step::tcp_ack);
    endpoint.peer->acknowledge(core.now(), endpoint.connection.ack(i));
    ++tcp_stats_.acks;
  }
  endpoint.connection.acks_sent();
}

SkbId TcpSocket::dequeue(Time now) {
  const SkbId id = pop();
  rmem_alloc_ -= slab_[id].truesize;
  observe(now);
  return id;
}

void TcpSocket::copied(Core& core, SkbId id) {
  const Skb& skb = slab_[id];
  Endpoint& endpoint = *find(TcpSegment::unpacked(skb.packet.variant).connection);
  endpoint.connection.read(core.now(), skb.truesize);
  send_acks(core, endpoint);
}

void TcpSocket::for_each_out_of_order(const std::function<void(SkbId)>& visit) const {
  for (const Waiting& one : waiting_) visit(one.id);
}

}  // namespace rxpool
