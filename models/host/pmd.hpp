#pragma once
// The poll-mode drivers of a host: each with the RX queue that it took, its mempool and its transmit queue.

#include <memory>
#include <string>
#include <vector>

#include "models/host/nic.hpp"
#include "models/nic/poll_mode_driver.hpp"
#include "sim/metrics.hpp"

namespace rxpool {

struct HostPmd {
  std::string name;  ///< component path
  const scenario::PmdParams* params = nullptr;
  Core* core = nullptr;
  std::unique_ptr<TxQueue> transmit;  ///< null unless it forwards
  std::unique_ptr<PollModeDriver> driver;
};

/// The driver that has the queue; null when the kernel has it.
const scenario::PmdParams* pmd_of(const Scenario& scenario, const std::string& nic, const std::string& queue);
/// The queues have their mempools.
std::vector<HostPmd> make_pmds(const Scenario& scenario, std::uint32_t replication,
                               const std::vector<std::unique_ptr<Core>>& cores,
                               const std::vector<std::unique_ptr<HostNic>>& nics, PagePools& pools, Journal& journal);
/// All counters but those of the transmit queue.
void register_pmd(MetricRegistry& registry, HostPmd& pmd, bool latency);
/// Behind the applications of AF_XDP sockets, before the threads of cpumap entries.
std::uint32_t pmd_component_id(std::size_t number);

}  // namespace rxpool
