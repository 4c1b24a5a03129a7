#pragma once
// From the keys of `sockets` and `faults` to what models/stack takes.

#include <cstdint>
#include <string>

#include "models/scenario/scenario.hpp"
#include "models/stack/socket_reader.hpp"
#include "models/stack/udp_socket.hpp"

namespace rxpool {

class Host;

UdpSocketParams udp_params(const scenario::KernelParams& kernel, const scenario::SocketParams& socket);
/// `name`: key of the socket, which also names its random streams.
SocketReaderParams reader_params(const Scenario& scenario, const std::string& name, std::uint32_t replication);

/// Readers that poll get the NAPIs of all queues; these have their buffers.
void connect_busy_polls(Host& host);

}  // namespace rxpool
