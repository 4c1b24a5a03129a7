#include "models/host/bottleneck.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

namespace rxpool {
namespace {

std::string percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", 100 * share);
  return text.data();
}

/// Keeps the stage that lost most; of equals the first one that was looked at.
class Search {
 public:
  Search(std::uint64_t offered, Time run) : offered_(offered), run_(run) {}

  void port(const HostNic& nic);
  /// `umem`: of the zero-copy AF_XDP socket whose frames are the queue's descriptors; null without one.
  void queue(const HostNic& nic, std::uint32_t number, const Xsk* umem);
  void xsk(const Xsk& xsk);
  void socket(const HostSocket& socket);
  void cpumap(const CpumapEntry& entry);
  void journal(const Journal& journal);
  /// Where no stage was short of anything: the rule that most packets fell to.
  void refused(const Journal& journal);
  const Bottleneck& worst() const { return worst_; }

 private:
  bool is_worst(std::uint64_t lost) {
    if (lost <= most_) return false;
    most_ = lost;
    return true;
  }
  std::string lost() const {
    return percent(static_cast<double>(most_) / static_cast<double>(offered_)) + " of the packets.";
  }
  double busy(const Core& core) const {
    std::uint64_t total = 0;
    for (const std::uint64_t ps : core.stats().busy_ps) total += ps;
    return std::min(1.0, static_cast<double>(total) / static_cast<double>(std::max<std::int64_t>(1, run_.ps)));
  }
  std::string is_bottleneck(const Core& core) const {
    return core.name() + " is the bottleneck: " + percent(busy(core)) + " busy, ";
  }

  std::uint64_t offered_;
  Time run_;
  std::uint64_t most_ = 0;
  Bottleneck worst_{"", "Nothing was lost: no stage is a bottleneck."};
};

void Search::port(const HostNic& nic) {
  if (!is_worst(nic.port->stats().rx_discards_phy)) return;
  worst_ = {nic.component + ".pcie",
            "PCIe of " + nic.name + " is the bottleneck: its packet buffer overflowed for " + lost()};
}

void Search::queue(const HostNic& nic, std::uint32_t number, const Xsk* umem) {
  if (!is_worst(nic.port->queue(number).out_of_buffer)) return;
  RxQueue& queue = *nic.queues[number].queue;
  const bool starved = queue.buffers().stats().alloc_fail != 0;
  if (starved && umem != nullptr) {
    worst_ = {umem->params().name, "The application of " + umem->params().name +
                                       " is the bottleneck: it gave too few frames back and the ring of " +
                                       queue.name() + " was empty for " + lost()};
  } else if (starved) {
    worst_ = {"memory",
              "Memory is the bottleneck: refills of " + queue.name() + " failed and its ring ran empty for " + lost()};
  } else {
    const Core& core = queue.irq_core();
    worst_ = {core.name(), is_bottleneck(core) + "the ring of " + queue.name() + " was empty for " + lost()};
  }
}

void Search::socket(const HostSocket& socket) {
  if (!is_worst(socket.socket->stats().rcvbuf_errors)) return;
  // A reader that is idle meanwhile pauses, or the packets come in bursts: what is short is the buffer.
  const double share = busy(*socket.reader->home);
  worst_ = {socket.name, (share < 0.5 ? "The receive buffer of " : "The reader of ") + socket.name +
                             " is the bottleneck: the reader's CPU was " + percent(share) +
                             " busy, the buffer was full for " + lost()};
}

void Search::xsk(const Xsk& xsk) {
  if (!is_worst(xsk.stats().rx_dropped + xsk.stats().rx_ring_full)) return;
  worst_ = {xsk.params().name, "The application of " + xsk.params().name +
                                   " is the bottleneck: its rings had no room or no frame for " + lost()};
}

void Search::cpumap(const CpumapEntry& entry) {
  if (!is_worst(entry.stats().enqueue_drops)) return;
  worst_ = {entry.name, is_bottleneck(*entry.home) + "the queue of " + entry.name + " was full for " + lost()};
}

void Search::journal(const Journal& journal) {
  if (is_worst(journal.count(Fate::xdp_tx_full) + journal.count(Fate::xdp_devmap_xmit) +
               journal.count(Fate::tx_burst_full))) {
    worst_ = {"transmit", "Transmission is the bottleneck: there was no free transmit descriptor for " + lost()};
  }
  if (is_worst(journal.count(Fate::skb_alloc_failed))) {
    worst_ = {"memory", "Memory is the bottleneck: there was none for the skb of " + lost()};
  }
  if (is_worst(journal.count(Fate::proto_mem))) {
    worst_ = {"sockets", "A limit on the memory of all sockets is the bottleneck: it refused " + lost()};
  }
  if (is_worst(journal.count(Fate::circuit_breaker) + journal.count(Fate::circuit_breaker_hard))) {
    worst_ = {"control", "No stage lost as much as the circuit breakers refused: " + lost()};
  }
}

void Search::refused(const Journal& journal) {
  constexpr std::array by_rule = {
      Fate::rx_steering_drop, Fate::xdp_aborted,      Fate::xdp_drop,        Fate::netfilter_drop,   Fate::no_socket,
      Fate::unhandled_proto,  Fate::xdp_redirect_err, Fate::xdp_cpumap_drop, Fate::xdp_devmap_empty, Fate::tcp_old_data,
      Fate::tx_discards_phy,  Fate::xdp_egress_drop,  Fate::rx_queue_restart};
  if (most_ != 0) return;
  for (const Fate fate : by_rule) {
    if (!is_worst(journal.count(fate))) continue;
    worst_ = {"", "No stage overflowed: " + std::string(fate_names[static_cast<std::size_t>(fate)]) +
                      " is what ended " + lost()};
  }
}

}  // namespace

Bottleneck find_bottleneck(Host& host, Time run) {
  std::uint64_t offered = 0;
  for (const auto& nic : host.nics()) offered += nic->port->stats().rx_packets_phy;
  if (offered == 0) return {"traffic", "No packet arrived."};
  Search search(offered, run);
  for (const auto& nic : host.nics()) {
    search.port(*nic);
    std::uint32_t number = 0;
    for (const auto& [name, params] : nic->params->rx_queues) {
      const Xsk* const bound = xsk_of(host.xsks(), nic->name, name);
      search.queue(*nic, number++, bound != nullptr && bound->params().zero_copy ? bound : nullptr);
    }
  }
  for (const HostSocket& socket : host.sockets()) search.socket(socket);
  for (const HostXsk& xsk : host.xsks()) search.xsk(*xsk.xsk);
  for (const auto& nic : host.nics()) {
    for (const auto& entry : nic->cpumap) search.cpumap(*entry);
  }
  search.journal(host.journal());
  search.refused(host.journal());
  return search.worst();
}

}  // namespace rxpool
