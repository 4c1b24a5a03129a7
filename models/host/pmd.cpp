#include "models/host/pmd.hpp"

#include <algorithm>
#include <iterator>

#include "models/host/application.hpp"
#include "sim/error.hpp"

namespace rxpool {

std::uint32_t pmd_component_id(std::size_t number) {
  constexpr std::uint32_t first = (1U << 19) + (1U << 18);
  return first + static_cast<std::uint32_t>(number);
}

const scenario::PmdParams* pmd_of(const Scenario& scenario, const std::string& nic, const std::string& queue) {
  const auto found = std::find_if(scenario.pmds.begin(), scenario.pmds.end(), [&](const auto& entry) {
    return entry.second.nic == nic && entry.second.queue == queue;
  });
  return found == scenario.pmds.end() ? nullptr : &found->second;
}

namespace {

HostPmd make_pmd(const std::string& name, const scenario::PmdParams& params, const Scenario& scenario, HostNic& nic,
                 Core& core, PagePools& pools, Journal& journal, ApplicationParams application) {
  HostPmd made;
  made.name = name;
  made.params = &params;
  made.core = &core;
  if (params.forward) {
    TxQueueParams transmit;
    transmit.name = name + ".tx";
    transmit.size = nic.params->tx_ring;
    transmit.record_latency = scenario.record.latency;
    made.transmit = std::make_unique<TxQueue>(transmit, *nic.tx_link, pools, journal);
  }
  const auto index = static_cast<std::uint32_t>(
      std::distance(nic.params->rx_queues.begin(), nic.params->rx_queues.find(params.queue)));
  RxQueue& queue = *nic.queues[index].queue;
  made.driver = std::make_unique<PollModeDriver>(
      params.burst, std::move(application),
      PollModeDriver::Queue{index, queue.ring(), *nic.port, static_cast<MempoolBuffers&>(queue.buffers())},
      made.transmit.get(), journal);
  made.driver->name = name;
  made.driver->nice = params.application.nice;
  return made;
}

}  // namespace

std::vector<HostPmd> make_pmds(const Scenario& scenario, std::uint32_t replication,
                               const std::vector<std::unique_ptr<Core>>& cores,
                               const std::vector<std::unique_ptr<HostNic>>& nics, PagePools& pools, Journal& journal) {
  std::vector<HostPmd> all;
  for (const auto& [name, params] : scenario.pmds) {
    const auto nic = std::find_if(nics.begin(), nics.end(), [&, &wanted = params.nic](const auto& candidate) {
      return candidate->name == wanted;
    });
    const std::string& cpu_name = (*nic)->params->rx_queues.at(params.queue).cpu;
    const auto cpu = static_cast<std::size_t>(std::distance(scenario.cpus.begin(), scenario.cpus.find(cpu_name)));
    const std::string component = "pmds." + name;
    all.push_back(make_pmd(component, params, scenario, **nic, *cores[cpu], pools, journal,
                           application_params(params.application, scenario, replication, component)));
    all.back().driver->component_id = pmd_component_id(all.size() - 1);
  }
  return all;
}

void register_pmd(MetricRegistry& registry, HostPmd& pmd, bool latency) {
  PollModeDriver& driver = *pmd.driver;
  const PollModeStats& stats = driver.stats();
  registry.counter(pmd.name, "ipackets", &stats.ipackets);
  registry.counter(pmd.name, "ibytes", &stats.ibytes);
  registry.counter(pmd.name, "rx_bursts", &stats.rx_bursts);
  registry.counter(pmd.name, "empty_bursts", &stats.empty_bursts);
  registry.level(pmd.name, "mempool_avail", [&driver] { return static_cast<double>(driver.mempool().available()); });
  if (pmd.transmit != nullptr) {
    registry.counter(pmd.name, "tx_burst_full", &stats.tx_burst_full);
    return;
  }
  registry.rate(pmd.name, "delivered_pps", &stats.delivered);
  if (latency) registry.latency(pmd.name, "pmd_latency", &driver.latency());
}

}  // namespace rxpool
