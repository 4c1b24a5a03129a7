#include "models/host/sockets.hpp"

#include <algorithm>
#include <cmath>

#include "models/host/application.hpp"
#include "models/host/host.hpp"

namespace rxpool {

UdpSocketParams udp_params(const scenario::KernelParams& kernel, const scenario::SocketParams& socket) {
  UdpSocketParams params;
  params.port = socket.port;
  // SK-30: SO_RCVBUF is capped by rmem_max and doubled.
  params.sk_rcvbuf = socket.rcvbuf == 0 ? kernel.rmem_default : 2 * std::min(socket.rcvbuf, kernel.rmem_max);
  params.admits_by_size = kernel.at_least(6, 15);
  return params;
}

SocketReaderParams reader_params(const Scenario& scenario, const std::string& name, std::uint32_t replication) {
  const scenario::ReaderParams& fields = scenario.sockets.at(name).reader;
  const std::string component = "sockets." + name;
  SocketReaderParams params;
  params.batch = fields.batch;
  if (fields.rate_pps > 0) params.interval = Time{std::llround(1e12 / fields.rate_pps)};
  params.application = application_params(fields, scenario, replication, component);
  if (const auto leak = scenario.faults.leaks.find(name); leak != scenario.faults.leaks.end()) {
    params.leak.emplace(SocketReaderParams::Leak{leak->second.share, time_from_ms(leak->second.start_ms),
                                                 RandomStream(scenario.seed, replication, component + ".leak")});
  }
  return params;
}

void connect_busy_polls(Host& host) {
  std::vector<BusyPoll::Source> sources;
  for (const auto& nic : host.nics()) {
    for (HostQueue& queue : nic->queues) sources.push_back({&queue.queue->buffers(), queue.queue.get()});
  }
  std::size_t number = 0;
  for (const auto& [name, params] : host.scenario().sockets) {
    SocketReader& reader = *host.sockets()[number++].reader;
    const scenario::SocketBusyPollParams& wanted = params.reader.busy_poll;
    if (wanted.us == 0) continue;
    reader.set_busy_poll(
        std::make_unique<BusyPoll>(BusyPollParams{time_from_us(wanted.us), wanted.prefer, wanted.budget}, sources));
  }
}

}  // namespace rxpool
