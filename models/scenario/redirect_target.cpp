#include "models/scenario/redirect_target.hpp"

#include <iterator>

namespace rxpool::scenario {

std::string redirect_refusal(const Scenario& scenario, const std::string& nic, const std::string& name) {
  const NicParams& target = scenario.nics.at(name);
  const XdpFeatures& features = xdp_features(target.driver);
  const std::string driver(driver_defaults(target.driver).name);
  if (features.target == RedirectTarget::never) {
    return "EOPNOTSUPP: " + driver +
           " has no ndo_xdp_xmit (NETDEV_XDP_ACT_NDO_XMIT); redirect to another NIC, or let the packets pass and "
           "forward"
           " them in the stack";
  }
  const auto attached = scenario.policies.find(name);
  if (features.target == RedirectTarget::with_program &&
      (attached == scenario.policies.end() || attached->second.program == "none")) {
    return "ENXIO: " + driver + " has transmit queues for redirects only while a program is attached; set policies." +
           name + " to \"pass\"";
  }
  if (features.shares_queues) return "";
  for (const auto& [queue_name, queue] : scenario.nics.at(nic).rx_queues) {
    const std::string& cpu = queue.napi_threaded && !queue.thread_cpu.empty() ? queue.thread_cpu : queue.cpu;
    const auto number = static_cast<std::size_t>(std::distance(scenario.cpus.begin(), scenario.cpus.find(cpu)));
    if (number < target.rx_queues.size()) continue;
    return "ENXIO: " + driver + " transmits on the queue with the number of the CPU, and " + name + " has " +
           std::to_string(target.rx_queues.size()) + " for CPU " + std::to_string(number) + " (" + cpu +
           "); give it more rx_queues, or move nics." + nic + ".rx_queues." + queue_name + ".cpu";
  }
  return "";
}

}  // namespace rxpool::scenario
