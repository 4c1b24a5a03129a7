#pragma once
// What the packets that a NIC is offered ask of the stages behind it, in CPU and bus time: the arrivals of the run
// itself, at most `sampled_packets`, after link and steering; a policy object is run on them. Prices are those of the
// calibration, without waiting, LLC misses and what depends on the fill of a queue.

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "models/calibration/calibration.hpp"
#include "models/host/nic.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool {

struct TrafficDemand {
  /// Packets on one edge of the graph and the CPU time that they ask for.
  struct Flow {
    double packets = 0;
    double demand_ns = 0;

    void add(double time_ns) {
      ++packets;
      demand_ns += time_ns;
    }
    double mean_ns() const { return packets > 0 ? demand_ns / packets : 0; }
  };
  std::map<std::string, double> sources;  ///< packets
  double packets = 0;
  double wire_bytes = 0;
  double pcie_packets = 0;
  double pcie_ns = 0;
  std::vector<Flow> queues;
  std::map<std::pair<std::size_t, std::size_t>, Flow> to_reader;  ///< by server and reader
  std::vector<Flow> cpumap;                                       ///< by entry; servers after the queues
  double seconds = 0;
};

/// Pulls the NIC's arrivals, steers them and adds up what they ask for. The host is of no use afterwards.
TrafficDemand traffic_demand(HostNic& nic, const Scenario& scenario, const Calibration& calibration);

}  // namespace rxpool
