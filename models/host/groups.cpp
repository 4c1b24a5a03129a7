#include "models/host/groups.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/connected_components.hpp>

#include "models/host/nic.hpp"
#include "models/host/pmd.hpp"
#include "models/host/redirect.hpp"

namespace rxpool {
namespace {

/// Every CPU that a queue's interrupt, its NAPI thread or a timed change may put it on.
std::set<std::string> cpus_of_queue(const Scenario& scenario, const std::string& nic, const std::string& queue) {
  const scenario::QueueParams& params = scenario.nics.at(nic).rx_queues.at(queue);
  std::set<std::string> cpus{params.cpu};
  if (params.napi_threaded && !params.thread_cpu.empty()) cpus.insert(params.thread_cpu);
  for (const auto& [name, event] : scenario.events) {
    const auto change = event.set.find("nics." + nic + ".rx_queues." + queue + ".cpu");
    if (change != event.set.end()) cpus.insert(std::get<std::string>(change->second));
  }
  return cpus;
}

}  // namespace

/// CPUs that share a queue, a socket with a queue, a cpumap entry, an AF_XDP socket, or a map of a policy.
std::vector<std::uint32_t> coupling_groups(const Scenario& scenario, const PoliciesFacts& facts) {
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS>;
  std::map<std::string, std::size_t> index;
  std::size_t number = 0;
  for (const auto& [name, cpu] : scenario.cpus) index[name] = number++;
  Graph graph(scenario.cpus.size());
  for (const auto& [nic_name, nic] : scenario.nics) {
    const bool shared_maps = facts.at(nic_name).shares_state;
    const std::string& first_cpu = nic.rx_queues.begin()->second.cpu;
    for (const auto& [queue_name, queue] : nic.rx_queues) {
      if (pmd_of(scenario, nic_name, queue_name) != nullptr) continue;  // meets nobody
      if (shared_maps) boost::add_edge(index[first_cpu], index[queue.cpu], graph);
      for (const std::string& cpu : cpus_of_queue(scenario, nic_name, queue_name)) {
        boost::add_edge(index[queue.cpu], index[cpu], graph);
      }
      for (const std::string& target_name : facts.at(nic_name).redirect_targets) {
        const scenario::NicParams& target = scenario.nics.at(target_name);
        for (const std::string& cpu : cpus_of_queue(scenario, nic_name, queue_name)) {
          const std::uint32_t channel = xmit_channel(target, static_cast<std::uint32_t>(index[cpu]));
          const auto owner = std::next(target.rx_queues.begin(), channel);
          for (const std::string& other : cpus_of_queue(scenario, target_name, owner->first)) {
            boost::add_edge(index[cpu], index[other], graph);
          }
        }
      }
      for (const std::string& remote : facts.at(nic_name).redirect_cpus) {
        for (const std::string& cpu : cpus_of_queue(scenario, nic_name, queue_name)) {
          boost::add_edge(index[cpu], index[remote], graph);
        }
        for (const auto& [socket_name, socket] : scenario.sockets) {
          boost::add_edge(index[remote], index[socket.cpu], graph);
        }
      }
      if (!can_reach_stack(scenario, nic_name)) continue;
      for (const auto& [socket_name, socket] : scenario.sockets) {
        boost::add_edge(index[queue.cpu], index[socket.cpu], graph);
      }
    }
  }
  for (const auto& [name, xsk] : scenario.xsks) {
    for (const std::string& cpu : cpus_of_queue(scenario, xsk.nic, xsk.queue)) {
      boost::add_edge(index[cpu], index[xsk.cpu], graph);
    }
  }
  std::vector<std::uint32_t> groups(scenario.cpus.size());
  boost::connected_components(graph, groups.data());
  for (std::uint32_t& group : groups) ++group;  // group 0 is everybody's
  return groups;
}

std::size_t senders_in_groups(const Scenario& scenario, const std::string& nic, const PoliciesFacts& facts,
                              const std::vector<std::uint32_t>& groups) {
  std::set<std::uint32_t> senders;
  for (const auto& [name, params] : scenario.nics) {
    const std::vector<std::string>& targets = facts.at(name).redirect_targets;
    if (name != nic && std::find(targets.begin(), targets.end(), nic) == targets.end()) continue;
    for (const auto& [queue_name, queue] : params.rx_queues) {
      const auto cpu = std::distance(scenario.cpus.begin(), scenario.cpus.find(queue.cpu));
      senders.insert(groups[static_cast<std::size_t>(cpu)]);
    }
  }
  return senders.size();
}

}  // namespace rxpool
