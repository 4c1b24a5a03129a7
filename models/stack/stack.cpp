#include "models/stack/stack.hpp"

#include "models/stack/socket_reader.hpp"
#include "models/traffic/flow.hpp"

namespace rxpool {

UdpSocket* Stack::lookup(const Packet& packet) const {
  if (packet.ip_protocol != protocol_udp) return nullptr;
  for (UdpSocket* socket : sockets_) {
    if (socket->port() == packet.destination_port) return socket;
  }
  return nullptr;
}

bool Stack::receive(Core& core, SkbId id, const NetfilterParams& rules) {
  if (!core.may_step(EventClass::poll)) return false;
  const Skb& skb = slab_[id];
  const Packet& packet = skb.packet;
  const bool raw_drops =
      rules.raw_table && (rules.raw_drop.ip_protocol == 0 || rules.raw_drop.ip_protocol == packet.ip_protocol) &&
      (rules.raw_drop.destination_port == 0 || rules.raw_drop.destination_port == packet.destination_port);
  UdpSocket* socket = raw_drops ? nullptr : lookup(packet);
  const bool drops = socket == nullptr || socket->full(skb.truesize);
  // A drop frees the page: where that may reach the zone it has to be our turn before anything is charged.
  if (drops && !free_.may_free(core, id, true, EventClass::poll)) return false;

  ++core.softirq().stats().processed;
  if (rules.raw_table) core.charge(Step::netfilter_raw);
  if (raw_drops) {
    core.charge(Step::netif_receive);
    return drop(core, id, Fate::netfilter_drop);
  }
  if (rules.conntrack) core.charge(Step::conntrack);
  if (rules.filter_table) core.charge(Step::netfilter_filter);
  core.charge_together(Step::netif_receive, Step::fib_input);
  if (packet.ip_protocol != protocol_udp && packet.ip_protocol != protocol_tcp) {
    return drop(core, id, Fate::unhandled_proto);
  }
  if (socket == nullptr) {
    core.charge_together(Step::udp_receive, Step::udp_no_port);
    ++stats_.udp_no_ports;
    return drop(core, id, Fate::no_socket);
  }
  core.charge_together(Step::udp_receive, Step::socket_enqueue);
  if (drops) {
    ++socket->stats().udp_rcvbuf_errors;
    return drop(core, id, Fate::socket_rcvbuff);
  }
  deliver(core, id, *socket);
  return true;
}

bool Stack::drop(Core& core, SkbId id, Fate fate) {
  journal_.ended(slab_[id].packet, fate, core.now());
  free_.free(core, id, true);
  return true;
}

void Stack::deliver(Core& core, SkbId id, UdpSocket& socket) {
  SocketReader& reader = *socket.reader;
  const bool wake = reader.waits_for_packet();
  if (wake) {
    core.charge(Step::socket_wakeup);
    reader.packet_arrived();
  }
  socket.enqueue(id, core.now());
  if (!wake) return;
  if (socket.reader_core == &core) {
    core.wake(reader);
  } else {
    socket.reader_core->wake_remotely(reader, core.now());
  }
}

}  // namespace rxpool
