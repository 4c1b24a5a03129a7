#include "models/host/tcp.hpp"

#include <algorithm>

namespace rxpool {

std::uint32_t first_connection(const Scenario& scenario, const std::string& source) {
  std::uint32_t number = 0;
  for (const auto& [name, traffic] : scenario.traffic) {
    if (name == source) break;
    if (traffic.kind == scenario::TrafficKind::tcp) number += traffic.tcp.flows.count;
  }
  return number;
}

std::vector<TcpConnectionParams> connections_of(const Scenario& scenario, const scenario::SocketParams& socket,
                                                const TcpSource& source) {
  const scenario::KernelParams& kernel = scenario.kernel;
  TcpConnectionParams params;
  params.segment_bytes = source.segment_bytes();
  params.autotuned = socket.rcvbuf == 0;
  params.rcvbuf = params.autotuned ? kernel.tcp_rmem_default : 2 * std::min(socket.rcvbuf, kernel.rmem_max);
  params.most = kernel.tcp_rmem_max;
  std::vector<TcpConnectionParams> connections;
  for (std::uint32_t flow = 0; flow < source.flow_count(); ++flow) {
    if (source.flow_key(flow).destination_port() != socket.port) continue;
    params.number = source.first_connection() + flow;
    connections.push_back(params);
  }
  return connections;
}

TcpMemory tcp_memory(const scenario::KernelParams& kernel, std::uint64_t buffer_pages) {
  // tcp_init_mem: a sixteenth is where pressure begins, half as much again the end.
  constexpr std::uint64_t least = 128;
  TcpMemory memory;
  memory.pressure = std::max(buffer_pages / 16, least);
  memory.most = memory.pressure / 4 * 3 * 2;
  if (kernel.tcp_mem_pages != 0) {
    memory.most = kernel.tcp_mem_pages;
    memory.pressure = memory.most / 3 * 2;
  }
  return memory;
}

}  // namespace rxpool
