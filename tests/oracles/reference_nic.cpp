#include "tests/oracles/reference_nic.hpp"

#include <utility>

#include "models/host/nic.hpp"
#include "models/host/tcp.hpp"
#include "models/traffic/pcap_source.hpp"
#include "models/traffic/synthetic_source.hpp"

namespace rxpool::reference {
namespace {

// Of two things at one instant a transfer ends before a packet arrives.
constexpr std::uint32_t pcie_id(std::uint32_t nic) {
  return 2 * nic;
}
constexpr std::uint32_t wire_id(std::uint32_t nic) {
  return 2 * nic + 1;
}

RssKey rss_key(const std::string& hex) {
  RssKey key{};
  for (std::size_t i = 0; i < key.size() && 2 * i + 1 < hex.size(); ++i) {
    key[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  }
  return key;
}

LlcParameters llc_of(const Scenario& scenario, const Calibration& calibration) {
  const scenario::LlcParams& set = scenario.memory.llc;
  LlcParameters llc{calibration.llc.bytes, calibration.llc.ways, calibration.llc.ddio_ways};
  if (set.mib > 0) llc.bytes = static_cast<std::uint64_t>(set.mib * 1048576);
  if (set.ways > 0) llc.ways = set.ways;
  if (set.ddio_ways > 0) llc.ddio_ways = set.ddio_ways;
  return llc;
}

}  // namespace

Nic::Nic(const std::string& n, std::uint32_t n_th, const Scenario& s, std::uint32_t replication,
         const Calibration& calibration, EventQueue& ev, std::uint64_t page_count, Journal& j, Stack& st)
    : name(n),
      params(s.nics.at(n)),
      scenario(s),
      events(ev),
      number(n_th),
      journal(j),
      stack(st),
      toeplitz_(rss_key(params.rss.key)),
      indirection_(indirection_table(params)),
      llc_(llc_of(s, calibration), page_count),
      pcie_latency_(calibration.pcie.latency),
      buffer_bytes_(static_cast<std::uint64_t>(params.buffer_kib * 1024)) {
  pcie_packet_ = params.pcie.packet_ns > 0  ? time_from_ns(params.pcie.packet_ns)
                 : params.pcie.cqe_compress ? calibration.pcie.packet_cqe_compress
                                            : calibration.pcie.packet;
  pcie_ps_per_byte_ = params.pcie.gbytes_per_s > 0 ? static_cast<std::int64_t>(1000 / params.pcie.gbytes_per_s + 0.5)
                                                   : calibration.pcie.ps_per_byte;
  std::vector<Source*> senders;
  for (const auto& [source_name, traffic] : s.traffic) {
    if (traffic.nic != n) continue;
    source_names.push_back(source_name);
    const auto index = static_cast<std::uint16_t>(sources_.size());
    if (traffic.kind == scenario::TrafficKind::tcp) {
      auto source = std::make_unique<TcpSource>("traffic." + source_name, index, traffic.tcp,
                                                first_connection(s, source_name), s.seed, replication);
      source->set_front([this] { return events.now(); });
      responsive.push_back(source.get());
      sources_.push_back(std::move(source));
    } else if (traffic.kind == scenario::TrafficKind::pcap) {
      sources_.push_back(std::make_unique<PcapSource>("traffic." + source_name, index, traffic.capture));
    } else {
      sources_.push_back(
          std::make_unique<SyntheticSource>("traffic." + source_name, index, traffic.source, s.seed, replication));
    }
    senders.push_back(sources_.back().get());
  }
  const auto mbps = static_cast<std::uint32_t>(params.link_gbps * 1000 + 0.5);
  wire = std::make_unique<Wire>(params.link_up ? mbps : 0, senders);
  tx_link.pcie_packet = params.pcie.packet_ns > 0 ? time_from_ns(params.pcie.packet_ns) : calibration.pcie.tx_packet;
  tx_link.pcie_ps_per_byte = pcie_ps_per_byte_;
  tx_link.latency = pcie_latency_;
  tx_link.mbps = params.link_up ? mbps : 0;
  const auto policy = s.policies.find(n);
  program = policy == s.policies.end() ? "none" : policy->second.program;
  std::uint32_t index = 0;
  for (const auto& [queue_name, queue] : params.rx_queues) {
    queues.push_back(std::make_unique<Queue>(*this, "nics." + n + ".rx_queues." + queue_name, index++, queue));
  }
}

// ---- From the wire to the ring.

void Nic::arrivals_until(Time until) {
  until_ = until;
  fetch();
}

void Nic::fetch() {
  if (arrival_planned_) return;
  Packet packet;
  if (wire->pull(until_, {&packet, 1}) == 0) {
    // A responsive source knows no more yet: ask again when what it knows is over.
    const Time known = wire->next_arrival();
    if (known > until_) return;
    arrival_planned_ = true;
    events.at(known, EventClass::arrival, wire_id(number), [this] {
      arrival_planned_ = false;
      fetch();
    });
    return;
  }
  arrival_planned_ = true;
  events.at(packet.arrival, EventClass::arrival, wire_id(number), [this, packet] {
    arrival_planned_ = false;
    arrive(packet);
    fetch();
  });
}

/// False: a rule drops it.
bool Nic::steer(Packet& packet) const {
  const FlowKey key = sources_[packet.source]->key(packet);
  const bool ports = key.has_ports && (key.protocol == protocol_udp ? params.rss.udp == scenario::HashFields::sdfn
                                                                    : params.rss.tcp == scenario::HashFields::sdfn);
  packet.rss_hash = ports ? toeplitz_(key.addresses_and_ports()) : toeplitz_(key.addresses());
  packet.queue = indirection_[packet.rss_hash % indirection_.size()];
  packet.destination_port = key.destination_port();
  for (const auto& [rule_name, rule] : params.ntuple) {
    const bool protocol = rule.protocol == scenario::RuleProtocol::any ||
                          key.protocol == (rule.protocol == scenario::RuleProtocol::tcp ? protocol_tcp : protocol_udp);
    if (!protocol || (rule.src_port != 0 && rule.src_port != key.source_port()) ||
        (rule.dst_port != 0 && rule.dst_port != key.destination_port())) {
      continue;
    }
    if (rule.drop) {
      packet.queue = 0xffff;
      return false;
    }
    packet.queue =
        static_cast<std::uint16_t>(std::distance(params.rx_queues.begin(), params.rx_queues.find(rule.queue)));
    break;
  }
  return true;
}

void Nic::arrive(const Packet& arrived) {
  Packet packet = arrived;
  ++rx_packets_phy;
  if (!steer(packet)) {
    journal.ended(packet, Fate::rx_steering_drop, packet.arrival);
    return;
  }
  if (busy_ && used_bytes_ + packet.frame_bytes > buffer_bytes_) {
    ++rx_discards_phy;
    journal.ended(packet, Fate::rx_discards_phy, packet.arrival);
    return;
  }
  used_bytes_ += packet.frame_bytes;
  waiting_.push_back(packet);
  begin_transfers();
}

/// PCIe takes the oldest packet; one that finds no descriptor is lost and the next one has its turn.
void Nic::begin_transfers() {
  while (!busy_ && !waiting_.empty()) {
    const Packet packet = waiting_.front();
    waiting_.pop_front();
    Queue& queue = *queues[packet.queue];
    Ring& ring = queue.ring;
    if (ring.descriptors.empty() || ring.descriptors.front().usable_from > events.now()) {
      used_bytes_ -= packet.frame_bytes;
      ++queue.out_of_buffer;
      journal.ended(packet, Fate::rx_out_of_buffer, events.now());
      continue;
    }
    Ring::Completion completion{packet, ring.descriptors.front().slot, ring.opened};
    ring.descriptors.pop_front();
    ring.transfers.push_back(packet);
    completion.packet.buffer = 2 * ring.pages[completion.slot] + ring.halves[completion.slot];
    busy_ = true;
    const Time end = events.now() + pcie_packet_ + Time{pcie_ps_per_byte_ * packet.frame_bytes};
    events.at(end, EventClass::arrival, pcie_id(number), [this, completion] { transferred(completion); });
  }
}

void Nic::transferred(const Ring::Completion& completion) {
  busy_ = false;
  used_bytes_ -= completion.packet.frame_bytes;
  if (completion.packet.buffer != 0) {
    llc_.dma_write(completion.packet.buffer);
    // What a CPU knows of the cache's progress is the state at every sixteenth write.
    if (llc_.stats.dma_writes % Llc::view_writes == 0) llc_seen_ = llc_.view();
  }
  const Time visible = events.now() + pcie_latency_;
  events.at(visible, EventClass::nic, pcie_id(number), [this, completion, visible] {
    Queue& queue = *queues[completion.packet.queue];
    if (completion.opened != queue.ring.opened) return;  // lost with its ring
    queue.ring.transfers.pop_front();
    queue.ring.completions.push_back(completion);
    queue.ring.completions.back().packet.completed = visible;
    queue.completed();
  });
  begin_transfers();
}

// ---- Interrupts.

Queue::Queue(Nic& nic, std::string n, std::uint32_t index, const scenario::QueueParams& p)
    : name(std::move(n)),
      params(p),
      ring(p.rx_ring),
      xdp_tx(name + ".xdp_tx", nic.params.tx_ring, nic.tx_link, nic.events, 2 * nic.number, nic.journal),
      xmit("nics." + nic.name + ".tx_queues.xdp" + std::to_string(index), nic.params.tx_ring, nic.tx_link, nic.events,
           2 * nic.number, nic.journal),
      redirect(nic.journal),
      nic_(nic),
      index_(index),
      usecs_(p.rx_usecs),
      frames_(p.rx_frames == 0 ? UINT32_MAX : p.rx_frames),
      dim_(nic.params.rx_cqe_mode) {
  if (p.adaptive_rx) {
    usecs_ = dim_.usecs();
    frames_ = dim_.frames();
  }
}

void Queue::set_affinity(Cpu& cpu) {
  if (line_.cpu != nullptr) line_.cpu->detach(line_);
  line_.cpu = &cpu;
  cpu.attach(line_);
}

void Queue::make_threaded(Cpu& cpu) {
  process_ = std::make_unique<NapiProcess>(*this);
  process_->component_id = index_ + 1;
  cpu.add(*process_);
  thread = process_.get();
}

/// NA-50: so long after the first completion (or, in CQE mode, after the last before a pause), or at so many of them.
Time Queue::Line::rx_fires() const {
  const Time period = microseconds(queue.usecs_);
  Time deadline = Time::never();
  std::uint32_t count = 0;
  for (const Ring::Completion& completion : queue.ring.completions) {
    const Time at_completion = completion.packet.completed;
    if (at_completion > deadline) break;
    if (++count == std::max(1u, queue.frames_)) return std::max(armed, at_completion);
    if (deadline == Time::never() || queue.nic_.params.rx_cqe_mode) deadline = at_completion + period;
  }
  return count == 0 ? Time::never() : std::max(armed, deadline);
}

void Queue::Line::update() {
  at = masked ? Time::never() : fires();
  cpu->source_changed();
}

void Queue::Line::take(Cpu& on) {
  const bool received = rx_fires() <= other_fires();
  at = Time::never();
  masked = true;
  on.enter_hardirq(Step::hardirq);
  ++queue.interrupts;
  if (queue.params.adaptive_rx && received) {
    queue.dim_.interrupt(on.clock, queue.rx_packets, queue.rx_bytes);
    queue.usecs_ = queue.dim_.usecs();
    queue.frames_ = queue.dim_.frames();
  }
  if (queue.scheduled) {
    queue.missed = true;
  } else if (!queue.disabled_) {
    on.schedule(queue);
  }
  on.leave_hardirq();
}

void Queue::wake_up(Cpu& by) {
  if (scheduled) {
    missed = true;
    return;
  }
  line_.triggered = std::min(line_.triggered, by.clock + Core::remote_latency);
  line_.update();
}

void Queue::Watchdog::take(Cpu& cpu) {
  at = Time::never();
  cpu.enter_hardirq(Step::hardirq);
  if (!queue.scheduled && !queue.disabled_) cpu.schedule(queue);
  cpu.leave_hardirq();
}

// ---- Restart (NA-26, DR-40).

void Queue::take_down(MemoryContext& context, std::uint32_t new_size) {
  for (const Ring::Completion& completion : ring.completions) {
    nic_.journal.ended(completion.packet, Fate::rx_queue_restart, context.now);
  }
  for (const Packet& packet : ring.transfers) nic_.journal.ended(packet, Fate::rx_queue_restart, context.now);
  buffers->give_back(context);
  watchdog_.at = Time::never();
  if (watchdog_.pinned_to != nullptr) watchdog_.pinned_to->source_changed();
  const std::uint32_t opened = ring.opened;
  ring = Ring(new_size);
  ring.opened = opened + 1;
}

void Queue::bring_up(Time now) {
  disabled_ = false;
  line_.masked = false;
  line_.armed = now;
  line_.update();
}

}  // namespace rxpool::reference
