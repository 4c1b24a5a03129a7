#include "models/host_redirect.hpp"

#include <algorithm>
#include <iterator>

#include "sim/error.hpp"

namespace rxpool {

std::vector<std::string> redirect_targets(const Scenario& scenario, const std::string& nic) {
  const auto policy = scenario.policies.find(nic);
  if (policy == scenario.policies.end() || policy->second.program != "redirect") return {};
  return {std::get<std::string>(policy->second.params.at("to"))};
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

}  // namespace rxpool
