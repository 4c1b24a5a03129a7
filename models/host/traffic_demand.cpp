#include "models/host/traffic_demand.hpp"

#include <array>
#include <iterator>

#include "models/host/pmd.hpp"
#include "models/host/topology.hpp"
#include "models/traffic/headers.hpp"

namespace rxpool {
namespace {

double ns(Time time) {
  return static_cast<double>(time.ps) * 1e-3;
}

/// Of the work on one packet, in nanoseconds.
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

/// What the bus takes for one packet, and for each of its bytes.
std::pair<double, double> pcie_ns(const scenario::PcieParams& params, const Calibration& calibration) {
  const double per_packet = params.packet_ns > 0  ? params.packet_ns
                            : params.cqe_compress ? ns(calibration.pcie.packet_cqe_compress)
                                                  : ns(calibration.pcie.packet);
  const double per_byte =
      params.gbytes_per_s > 0 ? 1 / params.gbytes_per_s : static_cast<double>(calibration.pcie.ps_per_byte) * 1e-3;
  return {per_packet, per_byte};
}

/// A packet that its queue has: driver, hook and whatever serves it behind them.
void add_received(TrafficDemand& demand, HostNic& nic, const Packet& packet, const Prices& prices) {
  const Scenario& scenario = prices.scenario();
  const auto& queue_name = std::next(nic.params->rx_queues.begin(), packet.queue)->first;
  if (const scenario::PmdParams* const pmd = pmd_of(scenario, nic.name, queue_name)) {
    demand.queues[packet.queue].add(prices.poll_mode(*pmd));
    return;
  }
  const auto [action, price] = run_hook(nic.hook, packet, prices);
  if (const std::size_t xsk = xsk_of(nic, scenario, packet.queue); xsk < scenario.xsks.size()) {
    const auto& params = std::next(scenario.xsks.begin(), static_cast<std::ptrdiff_t>(xsk))->second;
    demand.queues[packet.queue].add(prices.receive() + price + prices.redirect_to(params, packet));
    demand.to_reader[{packet.queue, scenario.sockets.size() + xsk}].add(prices.read(params));
    return;
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

}  // namespace

TrafficDemand traffic_demand(HostNic& nic, const Scenario& scenario, const Calibration& calibration) {
  const Prices prices(scenario, calibration);
  const Time end = time_from_ms(scenario.warmup_ms) + time_from_ms(scenario.duration_ms);
  TrafficDemand demand;
  demand.queues.resize(nic.queues.size());
  demand.cpumap.resize(nic.cpumap.size());
  demand.seconds = static_cast<double>(end.ps) * 1e-12;
  const auto [per_packet, per_byte] = pcie_ns(nic.params->pcie, calibration);
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
      add_received(demand, nic, packet, prices);
    }
    demand.seconds = static_cast<double>(block[count - 1].arrival.ps) * 1e-12;
  }
  return demand;
}

}  // namespace rxpool
