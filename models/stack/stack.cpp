#include "models/stack/stack.hpp"

#include "models/stack/socket_reader.hpp"
#include "models/traffic/flow.hpp"

namespace rxpool {
namespace {

bool refuses(const TcpSocket& socket, const Packet& packet) {
  const TcpConnection::Arrival arrival = socket.judge(TcpSegment::unpacked(packet.variant));
  return arrival != TcpConnection::Arrival::in_order && arrival != TcpConnection::Arrival::beyond;
}

}  // namespace

UdpSocket* Stack::lookup_udp(const Packet& packet) const {
  if (packet.ip_protocol != protocol_udp) return nullptr;
  for (UdpSocket* socket : udp_sockets_) {
    if (socket->port() == packet.destination_port) return socket;
  }
  return nullptr;
}

/// Only what a TCP source sends belongs to a connection; other segments meet none (and would be answered by a reset).
TcpSocket* Stack::lookup_tcp(const Packet& packet) const {
  if ((packet.flags & packet_flag::segment) == 0) return nullptr;
  for (TcpSocket* socket : tcp_sockets_) {
    if (socket->port() == packet.destination_port) return socket;
  }
  return nullptr;
}

bool Stack::receive(Core& core, SkbId id, const NetfilterParams& rules) {
  if (!core.may_step(EventClass::poll)) return false;
  const Skb& skb = slab_[id];
  const Packet& packet = skb.packet;
  const bool raw_drops = rules.raw_drop.drops(packet);
  const bool filter_drops = rules.filter_drop.drops(packet);
  const bool looks_up = !raw_drops && !filter_drops;
  UdpSocket* socket = looks_up ? lookup_udp(packet) : nullptr;
  TcpSocket* tcp = looks_up ? lookup_tcp(packet) : nullptr;
  const UdpSocket::Admission admission =
      socket != nullptr ? socket->judge(skb.truesize) : UdpSocket::Admission::admitted;
  const bool drops =
      tcp != nullptr ? refuses(*tcp, packet) : socket == nullptr || admission != UdpSocket::Admission::admitted;
  // A drop frees the page: where that may reach the zone it has to be our turn before anything is charged.
  if (drops && !free_.may_free(core, id, true, EventClass::poll)) return false;

  const Time begin = core.now();
  ++core.softirq().stats().processed;
  if (rules.raw_drop.enabled) core.charge(Step::netfilter_raw);
  if (raw_drops) {
    core.charge(Step::netif_receive);
    return drop(core, id, Fate::netfilter_drop);
  }
  if (rules.conntrack) core.charge(Step::conntrack);
  if (rules.filter_rules != 0) core.charge(Step::netfilter_filter, rules.filter_rules);
  core.charge_together(Step::netif_receive, Step::fib_input);
  if (filter_drops) return drop(core, id, Fate::netfilter_drop);
  if (packet.ip_protocol != protocol_udp && packet.ip_protocol != protocol_tcp) {
    return drop(core, id, Fate::unhandled_proto);
  }
  if (tcp != nullptr) return receive_tcp(core, id, *tcp);
  if (socket == nullptr) {
    core.charge_together(Step::udp_receive, Step::udp_no_port);
    ++stats_.udp_no_ports;
    return drop(core, id, Fate::no_socket);
  }
  core.charge_together(Step::udp_receive, Step::socket_enqueue);
  if (drops) {
    socket->refused(admission, skb.truesize);
    return drop(core, id, admission == UdpSocket::Admission::no_buffer ? Fate::socket_rcvbuff : Fate::proto_mem);
  }
  const bool wakes = wakes_reader(core, *socket);
  socket->enqueue(id, begin, core.now());
  if (wakes) wake_reader(core, *socket);
  return true;
}

bool Stack::receive_tcp(Core& core, SkbId id, TcpSocket& socket) {
  core.charge_together(Step::tcp_receive, Step::socket_enqueue);
  switch (socket.receive(core, id)) {
    case TcpConnection::Arrival::in_order:
      if (wakes_reader(core, socket)) wake_reader(core, socket);
      return true;
    case TcpConnection::Arrival::beyond:
      return true;
    case TcpConnection::Arrival::old:
      return drop(core, id, Fate::tcp_old_data);
    case TcpConnection::Arrival::no_buffer:
      return drop(core, id, Fate::socket_rcvbuff);
    case TcpConnection::Arrival::no_tcp_memory:
      return drop(core, id, Fate::proto_mem);
  }
  return true;
}

bool Stack::drop(Core& core, SkbId id, Fate fate) {
  journal_.ended(slab_[id].packet, fate, core.now());
  free_.free(core, id, true);
  return true;
}

/// sk_data_ready: true if the reader waits for a packet; its wake-up is charged.
bool Stack::wakes_reader(Core& core, Socket& socket) {
  if (!socket.reader->waits_for_packet()) return false;
  core.charge(Step::socket_wakeup);
  socket.reader->packet_arrived();
  return true;
}

void Stack::wake_reader(Core& core, Socket& socket) {
  if (socket.reader_core == &core) {
    core.wake(*socket.reader);
  } else {
    socket.reader_core->wake_remotely(*socket.reader, core.now());
  }
}

}  // namespace rxpool
