#include "models/host_redirect.hpp"

#include <algorithm>
#include <iterator>

#include "models/scenario/cpu_redirect.hpp"
#include "sim/error.hpp"

namespace rxpool {

std::vector<std::string> redirect_targets(const Scenario& scenario, const std::string& nic) {
  const auto policy = scenario.policies.find(nic);
  if (policy == scenario.policies.end() || policy->second.program != "redirect") return {};
  if (scenario::redirects_to_cpus(policy->second)) return {};
  return {std::get<std::string>(policy->second.params.at("to"))};
}

std::vector<std::string> redirect_cpus(const Scenario& scenario, const std::string& nic) {
  const auto policy = scenario.policies.find(nic);
  if (policy == scenario.policies.end() || !scenario::redirects_to_cpus(policy->second)) return {};
  return scenario::cpu_redirect(policy->second).cpus;
}

std::uint32_t cpumap_component_id(std::size_t nic, std::size_t entry) {
  constexpr std::uint32_t first = 1U << 20;  // behind ksoftirqd, NAPI threads and readers
  return first + static_cast<std::uint32_t>((nic << 10) + entry);
}

std::uint32_t xmit_channel(const scenario::NicParams& target, std::uint32_t cpu) {
  return cpu % static_cast<std::uint32_t>(target.rx_queues.size());
}

namespace {

HostNic& nic_named(std::vector<std::unique_ptr<HostNic>>& nics, const std::string& name) {
  const auto found = std::find_if(nics.begin(), nics.end(), [&](const auto& nic) { return nic->name == name; });
  ensure(found != nics.end(), "host: redirect to a NIC that the scenario let through");
  return **found;
}

void make_xmit_queues(HostNic& nic, const Scenario& scenario, PagePools& pools, Journal& journal) {
  const scenario::NicParams& params = *nic.params;
  nic.device.name = nic.name;
  nic.device.ifindex =
      static_cast<std::uint32_t>(std::distance(scenario.nics.begin(), scenario.nics.find(nic.name))) + 2;
  nic.device.mtu = params.mtu;
  nic.device.shared_queues = scenario::xdp_features(params.driver).shares_queues;
  for (HostQueue& queue : nic.queues) {
    TxQueueParams made;
    made.name = nic.component + ".tx_queues.xdp" + std::to_string(nic.device.queues.size());
    made.size = params.tx_ring;
    made.own_pages = false;
    made.locked = nic.device.shared_queues && scenario.cpus.size() > nic.queues.size();
    made.moderation = microseconds(params.tx_usecs);
    made.record_latency = scenario.record.latency;
    queue.xmit = std::make_unique<TxQueue>(made, *nic.tx_link, pools, journal);
    queue.queue->set_xmit(*queue.xmit);
    nic.device.queues.push_back(queue.xmit.get());
  }
}

CpumapEntryParams::Program entry_program(scenario::RemoteAction action) {
  switch (action) {
    case scenario::RemoteAction::disabled:
      return CpumapEntryParams::Program::none;
    case scenario::RemoteAction::pass:
      return CpumapEntryParams::Program::pass;
    case scenario::RemoteAction::drop:
      return CpumapEntryParams::Program::drop;
  }
  throw BugError("host: unknown program of a cpumap entry");
}

}  // namespace

void connect_redirects(const Scenario& scenario, std::vector<std::unique_ptr<HostNic>>& nics, PagePools& pools,
                       Journal& journal) {
  for (const auto& nic : nics) {
    for (const std::string& name : redirect_targets(scenario, nic->name)) {
      HostNic& target = nic_named(nics, name);
      if (target.device.queues.empty()) make_xmit_queues(target, scenario, pools, journal);
      nic->hook.target = &target.device;
    }
  }
}

void connect_cpumaps(const Scenario& scenario, std::vector<std::unique_ptr<HostNic>>& nics,
                     std::vector<std::unique_ptr<Core>>& cores, const RxEnvironment& environment) {
  for (std::size_t number = 0; number < nics.size(); ++number) {
    HostNic& nic = *nics[number];
    if (redirect_cpus(scenario, nic.name).empty()) continue;
    const scenario::CpuRedirect redirect = scenario::cpu_redirect(scenario.policies.at(nic.name));
    CpumapEntryParams params;
    params.qsize = redirect.qsize;
    params.program = entry_program(redirect.remote);
    params.gro = nic.params->gro;
    params.flushes_late = scenario.kernel.at_least(6, 15);
    params.gro_normal_batch = scenario.kernel.gro_normal_batch;
    std::vector<CpumapEntry*> entries;
    for (const std::string& cpu : redirect.cpus) {
      params.name = "policies." + nic.name + ".cpu_map." + cpu;
      const CpumapEntry::Environment uses{environment.stack, environment.slab, environment.journal, &nic.netfilter};
      CpumapEntry& entry = *nic.cpumap.emplace_back(std::make_unique<CpumapEntry>(params, uses));
      entry.component_id = cpumap_component_id(number, entries.size());
      entry.attach(*cores[static_cast<std::size_t>(std::distance(scenario.cpus.begin(), scenario.cpus.find(cpu)))]);
      entries.push_back(&entry);
    }
    nic.spread = std::make_unique<CpumapSpread>(std::move(entries), redirect.spread == scenario::CpuSpread::l4_hash,
                                                cores.size());
    nic.hook.cpus = nic.spread.get();
  }
}

}  // namespace rxpool
