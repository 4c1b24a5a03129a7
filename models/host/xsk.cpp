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

}  // namespace rxpool
