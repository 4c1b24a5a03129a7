#include "models/host/topology.hpp"

#include <algorithm>
#include <boost/graph/topological_sort.hpp>
#include <map>
#include <utility>

#include "models/host/host.hpp"
#include "models/host/prices.hpp"
#include "models/host/topology_graph.hpp"
#include "models/traffic/headers.hpp"

namespace rxpool {

using namespace topology_graph;

namespace {

double ns(Time time) {
  return static_cast<double>(time.ps) * 1e-3;
}

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

/// What the sampled packets of one NIC ask for.
struct Demand {
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

class Prices {
 public:
  Prices(const Scenario& scenario, const Calibration& calibration) : scenario_(scenario), calibration_(calibration) {}

  double of(Step step) const { return ns(calibration_.cost(step)); }
  const Calibration& calibration() const { return calibration_; }

  /// Driver, refill and pool, for every packet.
  double receive() const {
    return of(Step::rx_descriptor) + of(Step::dma_sync) + of(Step::refill_descriptor) + of(Step::napi_poll) / 64;
  }
  /// The thread of a cpumap entry up to the skb.
  double dequeue() const {
    return of(Step::cpumap_dequeue) + of(Step::skb_alloc_bulk) - of(Step::skb_alloc) + of(Step::ptr_ring_lock) +
           of(Step::page_pool_ring_put) - of(Step::page_pool_cache_put);
  }
  /// The stack up to the socket's queue, or to where it drops; memory is freed on this CPU.
  double stack(const scenario::NicParams& nic, const Packet& packet, bool has_socket) const {
    double sum = of(Step::packet_touch) + of(Step::skb_alloc) + of(Step::skb_build) + of(Step::skb_free) +
                 of(Step::page_pool_cache_get) + of(Step::page_pool_cache_put) + of(Step::netif_receive);
    if (nic.gro) sum += of(Step::gro_receive);
    if (nic.netfilter.raw_drop.enabled) sum += of(Step::netfilter_raw);
    if (drops(nic.netfilter.raw_drop, packet)) return sum;
    if (nic.netfilter.conntrack) sum += of(Step::conntrack);
    sum += of(Step::fib_input);
    if (nic.netfilter.filter) sum += of(Step::netfilter_filter) * nic.netfilter.filter_rules;
    if (drops(nic.netfilter.filter_drop, packet)) return sum;
    if (packet.ip_protocol != protocol_udp && packet.ip_protocol != protocol_tcp) return sum;
    return sum + of(Step::udp_receive) + of(has_socket ? Step::socket_enqueue : Step::udp_no_port);
  }
  /// The application with one message.
  double read(const scenario::SocketParams& socket, const Packet& packet) const {
    return of(Step::syscall_entry) / socket.reader.batch + of(Step::socket_dequeue) + copy(packet) +
           of(Step::skb_defer_push) + socket.reader.service_ns;
  }
  /// Into the RX ring of an AF_XDP socket, and the application with one packet from it.
  double redirect_to(const scenario::XskParams& xsk, const Packet& packet) const {
    const double ring = of(Step::xdp_redirect) + of(Step::xsk_ring_get) + of(Step::xsk_ring_put);
    return xsk.zero_copy ? ring : ring + of(Step::packet_touch) + copy(packet);
  }
  double read(const scenario::XskParams& xsk) const {
    return of(Step::xsk_ring_get) + of(Step::xsk_ring_put) + xsk.application.service_ns;
  }
  /// A poll-mode driver and its application with one packet of full bursts.
  double poll_mode(const scenario::PmdParams& pmd) const {
    const double burst = of(Step::rx_burst) + of(Step::llc_hit) + of(Step::doorbell);
    const double sent = of(Step::tx_descriptor) + of(Step::tx_completion);
    return burst / pmd.burst + of(Step::rx_descriptor) + of(Step::mempool_get) + of(Step::refill_descriptor) +
           of(Step::packet_touch) + pmd.application.service_ns + of(Step::mempool_put) +
           (pmd.forward ? sent + (of(Step::llc_hit) + of(Step::doorbell)) / pmd.burst : 0);
  }
  static bool filtered(const scenario::NicParams& nic, const Packet& packet) {
    return drops(nic.netfilter.raw_drop, packet) || drops(nic.netfilter.filter_drop, packet);
  }
  const Scenario& scenario() const { return scenario_; }

 private:
  double copy(const Packet& packet) const {
    return of(Step::copy_to_user) + static_cast<double>(calibration_.ps_per_byte(Step::copy_to_user)) * 1e-3 *
                                        static_cast<double>(packet.frame_bytes);
  }
  static bool drops(const scenario::DropRuleParams& rule, const Packet& packet) {
    if (!rule.enabled || (rule.dst_port != 0 && rule.dst_port != packet.destination_port)) return false;
    return rule.protocol == scenario::RuleProtocol::any ||
           packet.ip_protocol == (rule.protocol == scenario::RuleProtocol::tcp ? protocol_tcp : protocol_udp);
  }
  const Scenario& scenario_;
  const Calibration& calibration_;
};

/// Verdict of the hook on one packet, and its price.
std::pair<XdpAction, double> run_hook(const XdpHook& hook, const Packet& packet, const Prices& prices) {
  const double call = prices.of(Step::xdp_call);
  switch (hook.kind) {
    case XdpHook::Kind::none:
      return {XdpAction::pass, 0};
    case XdpHook::Kind::pass:
      return {XdpAction::pass, call + prices.of(Step::xdp_program_pass)};
    case XdpHook::Kind::drop:
      return {XdpAction::drop, call + prices.of(Step::xdp_program_drop)};
    case XdpHook::Kind::tx:
      return {XdpAction::tx, call + prices.of(Step::packet_touch) + prices.of(Step::xdp_program_tx) +
                                 prices.of(Step::tx_descriptor) + prices.of(Step::tx_completion)};
    case XdpHook::Kind::redirect:
      if (hook.cpus != nullptr) {
        return {XdpAction::redirect, call + prices.of(Step::xdp_program_redirect) + prices.of(Step::xdp_redirect) +
                                         prices.of(Step::cpumap_ring_put) + prices.of(Step::ptr_ring_lock) / 8 +
                                         (hook.cpus->reads_packet() ? prices.of(Step::packet_touch) : 0)};
      }
      // The completion belongs to the target's CPU.
      return {XdpAction::redirect, call + prices.of(Step::packet_touch) + prices.of(Step::xdp_program_redirect) +
                                       prices.of(Step::xdp_redirect) + prices.of(Step::tx_descriptor) +
                                       prices.of(Step::dma_map)};
    case XdpHook::Kind::xsk:
      return {XdpAction::pass, call + prices.of(Step::xdp_program_redirect)};  // where the queue has no socket
    case XdpHook::Kind::program:
      break;
  }
  const XdpVerdict verdict = hook.program->run_one(packet, 0, packet.arrival);
  const double touch = hook.program->reads_packet() ? prices.of(Step::packet_touch) : 0;
  return {verdict.action, call + touch + ns(verdict.cost)};
}

std::size_t socket_of(const Scenario& scenario, const Packet& packet) {
  std::size_t index = 0;
  for (const auto& [name, socket] : scenario.sockets) {
    const std::uint8_t protocol = socket.protocol == scenario::SocketProtocol::tcp ? protocol_tcp : protocol_udp;
    if (packet.ip_protocol == protocol && packet.destination_port == socket.port) return index;
    ++index;
  }
  return index;
}

/// Number of the AF_XDP socket that the queue's packets go to; as many as there are when they go elsewhere.
std::size_t xsk_of(const HostNic& nic, const Scenario& scenario, std::uint16_t queue) {
  std::size_t index = 0;
  const auto bound = std::next(nic.params->rx_queues.begin(), queue);
  for (const auto& [name, xsk] : scenario.xsks) {
    if (nic.hook.kind == XdpHook::Kind::xsk && xsk.nic == nic.name && xsk.queue == bound->first) break;
    ++index;
  }
  return index;
}

/// Pulls the NIC's arrivals, steers them and adds up what they ask for. The host is of no use afterwards.
Demand sample(HostNic& nic, const Prices& prices) {
  const Scenario& scenario = prices.scenario();
  const Time end = time_from_ms(scenario.warmup_ms) + time_from_ms(scenario.duration_ms);
  Demand demand;
  demand.queues.resize(nic.queues.size());
  demand.cpumap.resize(nic.cpumap.size());
  demand.seconds = static_cast<double>(end.ps) * 1e-12;
  const double per_packet = nic.params->pcie.packet_ns > 0  ? nic.params->pcie.packet_ns
                            : nic.params->pcie.cqe_compress ? ns(prices.calibration().pcie.packet_cqe_compress)
                                                            : ns(prices.calibration().pcie.packet);
  const double per_byte = nic.params->pcie.gbytes_per_s > 0
                              ? 1 / nic.params->pcie.gbytes_per_s
                              : static_cast<double>(prices.calibration().pcie.ps_per_byte) * 1e-3;
  std::array<Packet, 128> block;
  while (demand.packets < static_cast<double>(sampled_packets)) {
    const std::size_t count = nic.port->wire().pull(end, block);
    if (count == 0) return demand;
    for (std::size_t i = 0; i < count; ++i) {
      Packet& packet = block[i];
      ++demand.packets;
      demand.wire_bytes += packet.frame_bytes + static_cast<double>(preamble_bytes + gap_bytes);
      demand.sources[nic.source_names[packet.source]] += 1;
      nic.port->steering().steer({&packet, 1});
      if (packet.queue == Steering::drop) continue;
      ++demand.pcie_packets;
      demand.pcie_ns += per_packet + per_byte * packet.frame_bytes;
      const auto& queue_name = std::next(nic.params->rx_queues.begin(), packet.queue)->first;
      if (const scenario::PmdParams* const pmd = pmd_of(scenario, nic.name, queue_name)) {
        demand.queues[packet.queue].add(prices.poll_mode(*pmd));
        continue;
      }
      const auto [action, price] = run_hook(nic.hook, packet, prices);
      if (const std::size_t xsk = xsk_of(nic, scenario, packet.queue); xsk < scenario.xsks.size()) {
        const auto& params = std::next(scenario.xsks.begin(), static_cast<std::ptrdiff_t>(xsk))->second;
        demand.queues[packet.queue].add(prices.receive() + price + prices.redirect_to(params, packet));
        demand.to_reader[{packet.queue, scenario.sockets.size() + xsk}].add(prices.read(params));
        continue;
      }
      double time_ns = prices.receive() + price;
      const auto entry = action == XdpAction::redirect && nic.hook.cpus != nullptr
                             ? static_cast<std::size_t>(nic.hook.cpus->index(packet, 0))
                             : nic.cpumap.size();
      if (action == XdpAction::pass || entry != nic.cpumap.size()) {
        const std::size_t socket = socket_of(scenario, packet);
        const bool found = socket < scenario.sockets.size();
        const double stack_ns = prices.stack(*nic.params, packet, found);
        std::size_t server = packet.queue;
        if (action == XdpAction::pass) {
          time_ns += stack_ns;
        } else {
          demand.cpumap[entry].add(prices.dequeue() + stack_ns);
          server = nic.queues.size() + entry;
        }
        if (found && !Prices::filtered(*nic.params, packet)) {
          const auto& params = std::next(scenario.sockets.begin(), static_cast<std::ptrdiff_t>(socket))->second;
          demand.to_reader[{server, socket}].add(prices.read(params, packet));
        }
      }
      demand.queues[packet.queue].add(time_ns);
    }
    demand.seconds = static_cast<double>(block[count - 1].arrival.ps) * 1e-12;
  }
  return demand;
}

/// Builds the graph stage by stage; what a stage cannot serve does not reach the next one.
class Builder {
 public:
  Builder(const Scenario& scenario, Host& host, const Prices& prices)
      : scenario_(scenario), host_(host), prices_(prices) {}

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
    std::map<std::size_t, Flow> to_reader;
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
    const Demand demand = sample(nic, prices_);
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
  Vertex add_server(const std::string& component, const std::string& kind, const std::string& cpu, const Flow& flow,
                    std::size_t index, const Demand& demand, double reached) {
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
  const Prices& prices_;
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
  const Prices prices(scenario, calibration);
  const Graph graph = Builder(scenario, host, prices).build();
  std::vector<Vertex> order;
  boost::topological_sort(graph, std::back_inserter(order));
  Topology result;
  for (auto v = order.rbegin(); v != order.rend(); ++v) result.stages.push_back(graph[*v]);
  result.predicted = predict(graph);
  result.dot = dot(graph, result.predicted);
  return result;
}

}  // namespace rxpool
