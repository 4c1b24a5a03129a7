#include "models/host/socket_metrics.hpp"

#include <string_view>

namespace rxpool {
namespace {

void register_socket(MetricRegistry& registry, HostSocket& socket) {
  SocketStats& stats = socket.socket->stats();
  if (socket.tcp == nullptr) {
    registry.counter(socket.name, "UdpInDatagrams", &stats.delivered);
    registry.counter(socket.name, "UdpRcvbufErrors", &stats.rcvbuf_errors);
    registry.counter(socket.name, "UdpMemErrors", &static_cast<const UdpSocket&>(*socket.socket).mem_errors());
    return;
  }
  registry.counter(socket.name, "TCPRcvQDrop", &stats.rcvbuf_errors);
  registry.counter(socket.name, "TCPOFOQueue", &socket.tcp->tcp_stats().out_of_order);
  registry.counter(socket.name, "tcp_old_data", &socket.tcp->tcp_stats().old);
  registry.counter(socket.name, "proto_mem", &socket.tcp->tcp_stats().no_memory);
  registry.counter(socket.name, "tcp_acks", &socket.tcp->tcp_stats().acks);
  registry.rate(socket.name, "goodput", &stats.bytes);
}

void register_socket_memory(MetricRegistry& registry, Host& host) {
  registry.level("stack", "udp_mem", [&memory = host.udp_memory()] { return static_cast<double>(memory.pages); });
  for (const auto& [name, group] : host.cgroups()) {
    const std::string component = "memory.cgroups." + name;
    registry.level(component, "memcg_sock", [&group = group] { return static_cast<double>(group.pages); });
    registry.counter(component, "memcg_max_events", &group.max_events);
  }
  for (HostSocket& socket : host.sockets()) {
    if (!host.scenario().faults.leaks.contains(socket.name.substr(std::string_view("sockets.").size()))) continue;
    registry.level(socket.name, "leaked",
                   [&reader = *socket.reader] { return static_cast<double>(reader.leaked().size()); });
  }
}

}  // namespace

void register_sockets(MetricRegistry& registry, Host& host) {
  for (HostSocket& socket : host.sockets()) {
    register_socket(registry, socket);
    if (socket.reader->busy_poll() != nullptr) {
      registry.counter(socket.name, "BusyPollRxPackets", &socket.reader->busy_poll()->packets());
    }
    registry.rate(socket.name, "delivered_pps", &socket.socket->stats().delivered);
    registry.gauge(socket.name, "rmem_alloc", &socket.socket->rmem());
    registry.gauge(socket.name, "socket_queue", &socket.socket->depth());
    if (host.scenario().record.latency) registry.latency(socket.name, "socket_latency", &socket.socket->latency());
  }
  register_socket_memory(registry, host);
}

}  // namespace rxpool
