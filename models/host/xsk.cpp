#include "models/host/xsk.hpp"

#include <algorithm>
#include <iterator>

#include "models/host/application.hpp"
#include "sim/error.hpp"

namespace rxpool {

std::uint32_t xsk_component_id(std::size_t number) {
  constexpr std::uint32_t first = 1U << 19;  // behind ksoftirqd, NAPI threads and readers, before cpumap threads
  return first + static_cast<std::uint32_t>(number);
}

std::vector<HostXsk> make_xsks(const Scenario& scenario, std::uint32_t replication,
                               const std::vector<std::unique_ptr<Core>>& cores, Journal& journal) {
  std::vector<HostXsk> all;
  for (const auto& [name, params] : scenario.xsks) {
    HostXsk& made = all.emplace_back();
    made.name = "xsks." + name;
    made.params = &params;
    const auto cpu = std::distance(scenario.cpus.begin(), scenario.cpus.find(params.cpu));
    made.core = cores[static_cast<std::size_t>(cpu)].get();
    made.xsk = std::make_unique<Xsk>(
        XskParams{made.name, params.zero_copy, params.need_wakeup, params.frames, params.fill_ring, params.rx_ring});
    made.application = std::make_unique<XskApplication>(
        params.application.batch, application_params(params.application, scenario, replication, made.name), *made.xsk,
        journal);
    made.application->name = made.name;
    made.application->component_id = xsk_component_id(all.size() - 1);
    made.application->nice = params.application.nice;
  }
  return all;
}

void connect_xskmaps(const std::vector<HostXsk>& xsks, const std::vector<std::unique_ptr<HostNic>>& nics) {
  for (const auto& nic : nics) {
    if (nic->program == nullptr) continue;
    for (const HostXsk& xsk : xsks) nic->program->redirect().add_xsk(*xsk.xsk);
  }
}

bool has_xsk(const std::vector<HostXsk>& xsks, const std::string& nic) {
  return std::any_of(xsks.begin(), xsks.end(), [&](const HostXsk& xsk) { return xsk.params->nic == nic; });
}

Xsk* xsk_of(const std::vector<HostXsk>& xsks, const std::string& nic, const std::string& queue) {
  const auto found = std::find_if(xsks.begin(), xsks.end(), [&](const HostXsk& xsk) {
    return xsk.params->nic == nic && xsk.params->queue == queue;
  });
  return found == xsks.end() ? nullptr : found->xsk.get();
}

void populate(std::vector<HostXsk>& xsks, PageAllocator& allocator) {
  for (HostXsk& xsk : xsks) {
    MemoryContext& context = xsk.core->memory(false);
    context.now = Time{0};
    if (xsk.xsk->populate(context, allocator)) continue;
    throw InputError(xsk.name + ".frames: ENOMEM: the host has too little memory for " +
                     std::to_string(xsk.params->frames) +
                     " pages; raise memory.total_mib or memory.free_mib, or lower frames");
  }
}

void register_xsk(MetricRegistry& registry, HostXsk& host_xsk, bool latency) {
  const XskStats& stats = host_xsk.xsk->stats();
  const std::string& component = host_xsk.name;
  registry.counter(component, "rx_dropped", &stats.rx_dropped);
  registry.counter(component, "rx_ring_full", &stats.rx_ring_full);
  registry.counter(component, "rx_fill_ring_empty_descs", &stats.rx_fill_ring_empty_descs);
  registry.counter(component, "xsk_received", &stats.received);
  registry.counter(component, "xsk_wakeups", &stats.wakeups);
  registry.counter(component, "xsk_polls", &host_xsk.application->stats().polls);
  registry.rate(component, "delivered_pps", &host_xsk.application->stats().delivered);
  registry.gauge(component, "xsk_rx_queue", &host_xsk.xsk->depth());
  registry.level(component, "xsk_fill_queue",
                 [&xsk = *host_xsk.xsk] { return static_cast<double>(xsk.frames_to_fill()); });
  if (latency) registry.latency(component, "xsk_latency", &host_xsk.application->latency());
}

}  // namespace rxpool
