#include "models/host/topology.hpp"

#include <algorithm>
#include <boost/graph/topological_sort.hpp>
#include <map>
#include <utility>

#include "models/host/host.hpp"
#include "models/host/prices.hpp"
#include "models/host/topology_graph.hpp"
#include "models/host/traffic_demand.hpp"

namespace rxpool {

using namespace topology_graph;

namespace {

/// Builds the graph stage by stage; what a stage cannot serve does not reach the next one.
class Builder {
 public:
  Builder(const Scenario& scenario, Host& host, const Calibration& calibration)
      : scenario_(scenario), host_(host), calibration_(calibration) {}

  Graph build() {
    for (const auto& [name, cpu] : scenario_.cpus) cpus_[name] = add("cpus." + name, "cpu");
    for (const auto& [name, socket] : scenario_.sockets) {
      readers_.push_back({add("sockets." + name, "socket"), socket.cpu, socket.reader.paused, socket.reader.rate_pps});
    }
    for (const auto& [name, xsk] : scenario_.xsks) {
      readers_.push_back({add("xsks." + name, "xsk"), xsk.cpu, xsk.application.paused, 0});
    }
    for (const auto& nic : host_.nics()) add_nic(*nic);
    // Every CPU's softirq load is known now: what it cannot serve stays in the rings.
    for (const Waiting& entry : queues_) {
      const Stage& cpu = graph_[cpus_[entry.cpu]];
      const double served = std::min(1.0, 1 / std::max(cpu.utilisation, 1e-12));
      Stage& queue = graph_[entry.queue];
      queue.capacity_pps = served < 1 ? queue.offered_pps * served : unlimited;
      for (const auto& [number, flow] : entry.to_reader) {
        const double pps = flow.packets * entry.reached / entry.seconds * served;
        edge(entry.queue, readers_[number].vertex, {pps, 0});
        Stage& reader = graph_[readers_[number].vertex];
        reader.demand_ns =
            (reader.demand_ns * reader.offered_pps + flow.mean_ns() * pps) / std::max(reader.offered_pps + pps, 1e-12);
        reader.offered_pps += pps;
      }
    }
    add_readers();
    return graph_;
  }

 private:
  struct Waiting {
    Vertex queue;
    std::string cpu;
    double seconds;
    double reached;  ///< share of its packets that PCIe lets through
    std::map<std::size_t, TrafficDemand::Flow> to_reader;
  };
  /// An application with what it reads: the sockets, then the AF_XDP sockets.
  struct Reader {
    Vertex vertex;
    std::string cpu;
    bool paused;
    double rate_pps;  ///< 0: no limit
  };

  Vertex add(const std::string& component, const std::string& kind) {
    return boost::add_vertex({.component = component, .kind = kind, .capacity_pps = unlimited}, graph_);
  }
  void edge(Vertex from, Vertex to, const Link& link) { boost::add_edge(from, to, link, graph_); }
  static void load(Stage& stage, double pps, double demand_ns, double available = 1) {
    stage.offered_pps = pps;
    stage.demand_ns = demand_ns;
    stage.utilisation = available > 0 ? pps * demand_ns * 1e-9 / available : pps > 0 ? unlimited : 0;
    stage.capacity_pps = demand_ns > 0 ? available * 1e9 / demand_ns : unlimited;
  }

  void add_nic(HostNic& nic) {
    const TrafficDemand demand = traffic_demand(nic, scenario_, calibration_);
    const double pps = demand.packets / demand.seconds;
    const Vertex link = add(nic.component, "link");
    const double bit_ns = nic.params->link_up ? 8 / nic.params->link_gbps : 0;
    load(graph_[link], pps, demand.packets > 0 ? demand.wire_bytes * bit_ns / demand.packets : 0);
    for (const std::string& name : nic.source_names) {
      const auto sent = demand.sources.find(name);
      const Vertex source = add("traffic." + name, "source");
      load(graph_[source], sent == demand.sources.end() ? 0 : sent->second / demand.seconds, 0);
      edge(source, link, {graph_[source].offered_pps, 0});
    }
    const Vertex pcie = add(nic.component + ".pcie", "pcie");
    const double to_memory = demand.pcie_packets / demand.seconds;
    load(graph_[pcie], to_memory, demand.pcie_packets > 0 ? demand.pcie_ns / demand.pcie_packets : 0);
    edge(link, pcie, {to_memory, 0});
    const double reached = std::min(1.0, 1 / std::max(graph_[pcie].utilisation, 1e-12));

    std::vector<Vertex> queues;
    for (std::size_t i = 0; i < nic.queues.size(); ++i) {
      const scenario::QueueParams& params =
          std::next(nic.params->rx_queues.begin(), static_cast<std::ptrdiff_t>(i))->second;
      const std::string& cpu = params.napi_threaded && !params.thread_cpu.empty() ? params.thread_cpu : params.cpu;
      queues.push_back(add_server(nic.queues[i].queue->name(), "queue", cpu, demand.queues[i], i, demand, reached));
      edge(pcie, queues.back(), {graph_[queues.back()].offered_pps, 0});
    }
    for (std::size_t i = 0; i < nic.cpumap.size(); ++i) {
      const CpumapEntry& entry = *nic.cpumap[i];
      const std::string cpu = entry.home->name().substr(std::string("cpus.").size());
      const Vertex vertex = add_server(entry.name, "cpumap", cpu, demand.cpumap[i], queues.size() + i, demand, reached);
      for (const Vertex queue : queues) {
        edge(queue, vertex, {graph_[vertex].offered_pps / static_cast<double>(queues.size()), 0});
      }
    }
  }

  /// What a CPU works off: an RX queue, an entry of a cpumap.
  Vertex add_server(const std::string& component, const std::string& kind, const std::string& cpu,
                    const TrafficDemand::Flow& flow, std::size_t index, const TrafficDemand& demand, double reached) {
    const Vertex vertex = add(component, kind);
    Stage& stage = graph_[vertex];
    stage.offered_pps = flow.packets * reached / demand.seconds;
    stage.demand_ns = flow.mean_ns();
    Stage& server = graph_[cpus_[cpu]];
    const double work = server.demand_ns * server.offered_pps + stage.demand_ns * stage.offered_pps;
    const double both = server.offered_pps + stage.offered_pps;
    load(server, both, both > 0 ? work / both : 0);
    edge(vertex, cpus_[cpu], {stage.offered_pps, std::max(stage.demand_ns, 1e-9)});
    Waiting& waiting = queues_.emplace_back(Waiting{vertex, cpu, demand.seconds, reached, {}});
    for (const auto& [key, to_reader] : demand.to_reader) {
      if (key.first == index) waiting.to_reader[key.second] = to_reader;
    }
    return vertex;
  }

  void add_readers() {
    std::map<std::string, double> left;
    for (const auto& [name, vertex] : cpus_) left[name] = std::max(0.0, 1 - graph_[vertex].utilisation);
    for (const Reader& reader : readers_) {
      Stage& stage = graph_[reader.vertex];
      load(stage, stage.offered_pps, stage.demand_ns, left[reader.cpu]);
      if (reader.paused) stage.capacity_pps = 0;
      if (reader.rate_pps > 0) stage.capacity_pps = std::min(stage.capacity_pps, reader.rate_pps);
      if (stage.capacity_pps <= 0) {
        stage.utilisation = stage.offered_pps > 0 ? unlimited : 0;
      } else {
        stage.utilisation = std::max(stage.utilisation, stage.offered_pps / stage.capacity_pps);
      }
      // What its reader takes of a CPU is at most what softirqs leave.
      Stage& cpu = graph_[cpus_[reader.cpu]];
      const double served = std::min(stage.offered_pps, stage.capacity_pps);
      cpu.utilisation += served * stage.demand_ns * 1e-9;
      cpu.demand_ns =
          (cpu.demand_ns * cpu.offered_pps + stage.demand_ns * served) / std::max(cpu.offered_pps + served, 1e-12);
      cpu.offered_pps += served;
      edge(reader.vertex, cpus_[reader.cpu], {stage.offered_pps, std::max(stage.demand_ns, 1e-9)});
    }
  }

  const Scenario& scenario_;
  Host& host_;
  const Calibration& calibration_;
  Graph graph_;
  std::map<std::string, Vertex> cpus_;
  std::vector<Reader> readers_;
  std::vector<Waiting> queues_;
};

/// The stage that is expected to lose most; a queue's loss is its CPU's, as in the report of a run.
Bottleneck predict(const Graph& graph) {
  const Stage* worst = nullptr;
  const Stage* busiest = nullptr;
  double most = 0;
  for (const Vertex v : boost::make_iterator_range(boost::vertices(graph))) {
    const Stage& stage = graph[v];
    if (stage.kind == "queue" || stage.kind == "cpumap" || stage.kind == "source" || stage.kind == "link") continue;
    if (busiest == nullptr || stage.utilisation > busiest->utilisation) busiest = &stage;
    const double lost = stage.utilisation > 1 ? stage.offered_pps - stage.capacity_pps : 0;
    if (lost > most) {
      most = lost;
      worst = &stage;
    }
  }
  if (worst != nullptr) {
    return {worst->component, worst->component + " is expected to be the bottleneck: " + rate(worst->offered_pps) +
                                  " reach it, it can serve " + rate(worst->capacity_pps) + "."};
  }
  const std::string share =
      busiest == nullptr ? ""
                         : "; the busiest is " + busiest->component + text(" at %.0f %%", 100 * busiest->utilisation);
  return {"", "No stage is expected to be overloaded" + share + "."};
}

}  // namespace

Topology topology(const Scenario& scenario) {
  Host host(scenario, 0);
  const Calibration calibration = host_calibration(scenario, 0);
  const Graph graph = Builder(scenario, host, calibration).build();
  std::vector<Vertex> order;
  boost::topological_sort(graph, std::back_inserter(order));
  Topology result;
  for (auto v = order.rbegin(); v != order.rend(); ++v) result.stages.push_back(graph[*v]);
  result.predicted = predict(graph);
  result.dot = dot(graph, result.predicted);
  return result;
}

}  // namespace rxpool
