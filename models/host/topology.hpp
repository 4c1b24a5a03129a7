#pragma once
// The host of a scenario as a graph: source -> link -> PCIe -> RX queue -> socket, with each stage's load and capacity,
// and the stage that a calculation of mean rates expects to lose packets first. A CPU is a vertex with nanoseconds of
// demand per packet of every queue and reader on it. Rates are those of the run's own arrivals (replication 0, at most
// `sampled_packets` per NIC) after link and steering; a policy object is run on them. Softirq work goes before readers.
// Left out, so that a simulation may disagree and says so: bursts, interrupts beyond one poll of 64 packets, LLC
// misses, memory running short, timed changes; of a TCP source only what it sends before the first acknowledgement.

#include <string>
#include <vector>

#include "models/result.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool {

struct Stage {
  std::string component;    ///< dotted path, e.g. nics.nic0.pcie, cpus.cpu0, sockets.service
  std::string kind;         ///< source, link, pcie, queue, cpu, socket
  double offered_pps = 0;   ///< what reaches it
  double capacity_pps = 0;  ///< infinite where it sets no limit of its own
  double demand_ns = 0;     ///< mean time of its server per packet; 0 without a server
  double utilisation = 0;   ///< demanded over available time; above 1 it loses
};

struct Topology {
  std::vector<Stage> stages;  ///< in topological order of the graph
  Bottleneck predicted;       ///< component is empty when no stage is overloaded
  std::string dot;            ///< for graphviz
};

inline constexpr std::size_t sampled_packets = 1'000'000;

/// Throws InputError for a host that cannot be built.
Topology topology(const Scenario& scenario);

}  // namespace rxpool
