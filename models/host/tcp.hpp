#pragma once
// TCP connections of a host: which socket serves which flow of which source, with which buffers (TC-31, TC-35).

#include <cstdint>
#include <string>
#include <vector>

#include "models/scenario/scenario.hpp"
#include "models/stack/tcp_connection.hpp"
#include "models/traffic/tcp/source.hpp"

namespace rxpool {

/// Connections are numbered in the order of the sources' names: number of this one's first.
std::uint32_t first_connection(const Scenario& scenario, const std::string& source);
/// The connections of `source` that end at this socket, in the order of their numbers.
std::vector<TcpConnectionParams> connections_of(const Scenario& scenario, const scenario::SocketParams& socket,
                                                const TcpSource& source);
/// net.ipv4.tcp_mem: the scenario's, or what the kernel computes from `buffer_pages`.
TcpMemory tcp_memory(const scenario::KernelParams& kernel, std::uint64_t buffer_pages);

}  // namespace rxpool
