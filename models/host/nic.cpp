#include "models/host/nic.hpp"

#include <algorithm>
#include <cmath>
#include <variant>

#include "models/host/redirect.hpp"
#include "models/host/tcp.hpp"
#include "models/traffic/address.hpp"
#include "models/traffic/pcap_source.hpp"
#include "models/traffic/synthetic_source.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

template <typename Visit>
void for_each_program(const Scenario& scenario, const std::string& nic, Visit&& visit) {
  const auto at_start = scenario.policies.find(nic);
  visit(at_start == scenario.policies.end() ? std::string("none") : at_start->second.program);
  for (const auto& [name, event] : scenario.events) {
    for (const auto& [path, value] : event.set) {
      if (path == "policies." + nic) visit(std::get<std::string>(value));
    }
  }
}

PortParams port_params(const scenario::NicParams& nic, const Calibration& calibration) {
  PortParams params;
  params.queues = static_cast<std::uint32_t>(nic.rx_queues.size());
  params.buffer_bytes = static_cast<std::uint32_t>(nic.buffer_kib * 1024);
  params.pcie.ps_per_byte = nic.pcie.gbytes_per_s > 0 ? static_cast<std::int64_t>(1000.0 / nic.pcie.gbytes_per_s + 0.5)
                                                      : calibration.pcie.ps_per_byte;
  params.pcie.ps_per_packet = nic.pcie.packet_ns > 0  ? time_from_ns(nic.pcie.packet_ns).ps
                              : nic.pcie.cqe_compress ? calibration.pcie.packet_cqe_compress.ps
                                                      : calibration.pcie.packet.ps;
  params.pcie.latency_ps = calibration.pcie.latency.ps;
  return params;
}

TxLinkParams tx_link_params(const scenario::NicParams& nic, const PcieParams& pcie, const Calibration& calibration) {
  TxLinkParams params;
  params.pcie_ps_per_packet =
      nic.pcie.packet_ns > 0 ? time_from_ns(nic.pcie.packet_ns).ps : calibration.pcie.tx_packet.ps;
  params.pcie_ps_per_byte = pcie.ps_per_byte;
  params.latency_ps = pcie.latency_ps;
  params.mbps = nic.link_up ? link_mbps(nic) : 0;
  return params;
}

RssKey key_bytes(const std::string& hex) {
  RssKey key{};
  for (std::size_t i = 0; i < key.size() && 2 * i + 1 < hex.size(); ++i) {
    key[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  }
  return key;
}

NtupleRule ntuple_rule(const scenario::NtupleParams& params, const scenario::NicParams& nic) {
  NtupleRule rule;
  const auto address = [](const std::string& text) -> std::optional<NtupleRule::Address> {
    if (text.empty()) return std::nullopt;
    const std::optional<AddressRange> range = parse_address_range(text);
    ensure(range.has_value(), "host: the scenario let a bad prefix through");
    const auto address_bits = static_cast<std::uint8_t>(8 * range->bytes());
    return NtupleRule::Address{range->network, range->ip_version,
                               static_cast<std::uint8_t>(address_bits - range->host_bits)};
  };
  rule.source = address(params.src);
  rule.destination = address(params.dst);
  if (params.src_port != 0) rule.source_port = params.src_port;
  if (params.dst_port != 0) rule.destination_port = params.dst_port;
  if (params.protocol != scenario::RuleProtocol::any) {
    rule.ip_protocol = params.protocol == scenario::RuleProtocol::tcp ? protocol_tcp : protocol_udp;
  }
  if (!params.drop) {
    const auto queue = nic.rx_queues.find(params.queue);
    rule.queue = static_cast<std::uint16_t>(std::distance(nic.rx_queues.begin(), queue));
  }
  return rule;
}

SteeringParams steering_params(const scenario::NicParams& nic) {
  SteeringParams params;
  params.key = key_bytes(nic.rss.key);
  params.indirection = indirection_table(nic);
  params.hash_udp_ports = nic.rss.udp == scenario::HashFields::sdfn;
  params.hash_tcp_ports = nic.rss.tcp == scenario::HashFields::sdfn;
  for (const auto& [name, rule] : nic.ntuple) params.rules.push_back(ntuple_rule(rule, nic));
  return params;
}

NetfilterParams netfilter_params(const scenario::NetfilterParams& params) {
  const auto rule = [](const scenario::DropRuleParams& wanted) {
    NetfilterParams::DropRule made;
    made.enabled = wanted.enabled;
    made.destination_port = wanted.dst_port;
    if (wanted.protocol != scenario::RuleProtocol::any) {
      made.ip_protocol = wanted.protocol == scenario::RuleProtocol::tcp ? protocol_tcp : protocol_udp;
    }
    return made;
  };
  NetfilterParams rules;
  rules.raw_drop = rule(params.raw_drop);
  rules.filter_drop = rule(params.filter_drop);
  rules.filter_rules = params.filter || params.filter_drop.enabled ? params.filter_rules : 0;
  rules.conntrack = params.conntrack;
  return rules;
}

std::unique_ptr<Source> make_source(const std::string& name, std::uint16_t index, const scenario::TrafficParams& params,
                                    std::uint64_t seed, std::uint32_t replication) {
  if (params.kind == scenario::TrafficKind::pcap) return std::make_unique<PcapSource>(name, index, params.capture);
  return std::make_unique<SyntheticSource>(name, index, params.source, seed, replication);
}

std::unique_ptr<TcpSource> make_tcp_source(const std::string& name, std::uint16_t index, const Scenario& scenario,
                                           std::uint32_t replication) {
  return std::make_unique<TcpSource>("traffic." + name, index, scenario.traffic.at(name).tcp,
                                     first_connection(scenario, name), scenario.seed, replication);
}

/// Numbers as the text that policies read; a fraction is no number of theirs.
std::string whole_number(const scenario::ParamValue& value, const std::string& place) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "1" : "0";
  const double number = std::get<double>(value);
  if (number != std::floor(number) || std::abs(number) > 9007199254740992.0) {
    throw InputError(place + ": a program's numbers are whole and, written as numbers, at most 2^53");
  }
  return std::to_string(static_cast<std::int64_t>(number));
}

bool is_function(const Scenario& scenario, const std::string& nic) {
  const auto policy = scenario.policies.find(nic);
  return policy != scenario.policies.end() && policy->second.given != nullptr && policy->second.given->function;
}

std::unique_ptr<PolicyProgram> make_program(const std::string& nic, const Scenario& scenario, std::uint32_t replication,
                                            const Calibration& calibration, std::vector<const Source*> sources) {
  const auto policy = scenario.policies.find(nic);
  if (policy == scenario.policies.end() || is_function(scenario, nic)) return nullptr;
  const bool given = policy->second.given != nullptr;
  if (policy->second.file.empty() && !given) return nullptr;
  PolicyProgramParams params;
  params.name = "policies." + nic;
  params.file = given ? policy->second.program : policy->second.file;
  if (given) params.object = policy->second.given->object;
  params.include_folder = policy->second.include_folder;
  for (const auto& [knob, value] : policy->second.params) {
    const std::string place = params.name + ".params." + knob;
    if (std::holds_alternative<std::string>(value)) {
      throw InputError(place + ": text; a program's variables are numbers");
    }
    params.knobs[knob] = std::stoll(whole_number(value, place));
  }
  for (const auto& [map, content] : policy->second.maps) {
    for (const auto& [key, value] : content.entries) {
      const auto* text = std::get_if<std::string>(&value);
      params.maps[map][key] =
          text != nullptr ? *text : whole_number(value, params.name + ".maps." + map + ".entries." + key);
    }
  }
  params.cpus.clear();
  for (const auto& [name, cpu] : scenario.cpus) params.cpus.push_back(name);
  params.interfaces = interfaces(scenario);
  params.ifindex = params.interfaces.at(nic);
  for (const auto& [name, xsk] : scenario.xsks) params.xsks.push_back(name);
  params.queues = static_cast<std::uint32_t>(scenario.nics.at(nic).rx_queues.size());
  params.seed = scenario.seed;
  params.replication = replication;
  return std::make_unique<PolicyProgram>(params, calibration, std::move(sources));
}

}  // namespace

RxBuffersRequest buffers_request(const Scenario& scenario, const HostNic& nic, const std::string& queue,
                                 const RxQueue& owner, std::uint8_t node) {
  const scenario::QueueParams& params = nic.params->rx_queues.at(queue);
  RxBuffersRequest request;
  request.driver = nic.params->driver;
  request.ring_size = params.rx_ring;
  request.pool_size = params.pool_size;
  request.node = node;
  request.xdp = ever_has_program(scenario, nic.name);
  request.napi_list_owner = &owner.list_owner;
  return request;
}

std::uint32_t pool_size_with(const scenario::NicParams& nic, const scenario::QueueParams& queue,
                             std::uint32_t rx_ring) {
  const bool chosen = queue.pool_size != scenario::default_pool_size(nic.driver, queue.rx_ring);
  return chosen ? queue.pool_size : scenario::default_pool_size(nic.driver, rx_ring);
}

bool is_restarted(const Scenario& scenario, const std::string& queue) {
  return std::any_of(scenario.events.begin(), scenario.events.end(),
                     [&](const auto& event) { return event.second.set.contains(queue + ".rx_ring"); });
}

std::uint32_t link_mbps(const scenario::NicParams& nic) {
  return static_cast<std::uint32_t>(nic.link_gbps * 1000 + 0.5);
}

XdpHook::Kind hook_kind(const std::string& program) {
  if (program == "none") return XdpHook::Kind::none;
  if (program == "pass") return XdpHook::Kind::pass;
  if (program == "drop") return XdpHook::Kind::drop;
  if (program == "tx") return XdpHook::Kind::tx;
  if (program == "redirect") return XdpHook::Kind::redirect;
  if (program == "xsk_def_prog") return XdpHook::Kind::xsk;
  return XdpHook::Kind::program;
}

bool ever_has_program(const Scenario& scenario, const std::string& nic) {
  bool ever = false;
  for_each_program(scenario, nic, [&](const std::string& program) { ever |= program != "none"; });
  return ever;
}

Interfaces interfaces(const Scenario& scenario) {
  Interfaces all;
  std::uint32_t ifindex = 2;  // 1 is lo
  for (const auto& [name, nic] : scenario.nics) all[name] = ifindex++;
  return all;
}

PoliciesFacts policies_facts(const Scenario& scenario, const Calibration& calibration) {
  PoliciesFacts all;
  for (const auto& [name, nic] : scenario.nics) {
    PolicyFacts& facts = all[name];
    const std::unique_ptr<PolicyProgram> program = make_program(name, scenario, 0, calibration, {});
    facts.shares_state = is_function(scenario, name) || (program != nullptr && program->shares_state());
    facts.redirect_targets = redirect_targets(scenario, name, program.get());
    facts.redirect_cpus = redirect_cpus(scenario, name, program.get());
  }
  return all;
}

bool can_transmit(const Scenario& scenario, const std::string& nic) {
  bool can = false;
  for_each_program(scenario, nic, [&](const std::string& program) {
    can |= hook_kind(program) == XdpHook::Kind::tx || hook_kind(program) == XdpHook::Kind::program;
  });
  return can;
}

bool can_reach_stack(const Scenario& scenario, const std::string& nic) {
  bool can = false;
  for_each_program(scenario, nic, [&](const std::string& program) {
    can |= program != "drop" && program != "tx" && program != "redirect";
  });
  return can;
}

/// RS-10: entry i = i mod queues; with weights, as many consecutive entries as the queue's share (ethtool -X weight).
std::vector<std::uint16_t> indirection_table(const scenario::NicParams& nic) {
  const std::uint32_t size = nic.rss.indirection_size;
  std::vector<std::uint16_t> table(size);
  if (nic.rss.indirection.empty()) {
    for (std::uint32_t i = 0; i < size; ++i) table[i] = static_cast<std::uint16_t>(i % nic.rx_queues.size());
    return table;
  }
  double total = 0;
  for (const auto& [queue, weight] : nic.rss.indirection) total += weight;
  double partial = 0;
  std::uint32_t entry = 0;
  std::uint16_t index = 0;
  for (const auto& [name, queue] : nic.rx_queues) {
    const auto weight = nic.rss.indirection.find(name);
    partial += weight == nic.rss.indirection.end() ? 0 : weight->second;
    const auto until = static_cast<std::uint32_t>(partial / total * size + 0.5);
    for (; entry < until && entry < size; ++entry) table[entry] = index;
    ++index;
  }
  return table;
}

std::unique_ptr<HostNic> make_host_nic(const std::string& name, const Scenario& scenario, std::uint32_t replication,
                                       const Calibration& calibration, Engine& engine, std::uint64_t page_count,
                                       const RxEnvironment& environment, PagePools& pools, Journal& journal) {
  auto nic = std::make_unique<HostNic>();
  nic->name = name;
  nic->component = "nics." + name;
  nic->params = &scenario.nics.at(name);
  const scenario::NicParams& params = *nic->params;

  std::vector<Source*> senders;
  std::vector<const Source*> readable;
  for (const auto& [source_name, traffic] : scenario.traffic) {
    if (traffic.nic != name) continue;
    nic->source_names.push_back(source_name);
    const auto index = static_cast<std::uint16_t>(nic->sources.size());
    if (traffic.kind == scenario::TrafficKind::tcp) {
      std::unique_ptr<TcpSource> source = make_tcp_source(source_name, index, scenario, replication);
      nic->responsive.push_back(source.get());
      nic->sources.push_back(std::move(source));
    } else {
      nic->sources.push_back(make_source("traffic." + source_name, index, traffic, scenario.seed, replication));
    }
    senders.push_back(nic->sources.back().get());
    readable.push_back(senders.back());
  }
  auto wire = std::make_unique<Wire>(params.link_up ? link_mbps(params) : 0, senders);

  LlcParameters llc;
  llc.bytes = scenario.memory.llc.mib > 0 ? static_cast<std::uint64_t>(scenario.memory.llc.mib * 1048576)
                                          : calibration.llc.bytes;
  llc.ways = scenario.memory.llc.ways != 0 ? scenario.memory.llc.ways : calibration.llc.ways;
  llc.ddio_ways = scenario.memory.llc.ddio_ways != 0 ? scenario.memory.llc.ddio_ways : calibration.llc.ddio_ways;
  nic->llc = std::make_unique<Llc>(llc, page_count);

  PortParams port = port_params(params, calibration);
  for (const auto& [queue, unused] : params.rx_queues) {
    port.rings_change |= is_restarted(scenario, nic->component + ".rx_queues." + queue);
  }
  nic->port = std::make_unique<Port>(port, engine, std::move(wire),
                                     std::make_unique<Steering>(steering_params(params), readable), *nic->llc, journal);
  nic->tx_link = std::make_unique<TxLink>(tx_link_params(params, port.pcie, calibration));
  const auto policy = scenario.policies.find(name);
  nic->hook.kind = hook_kind(policy == scenario.policies.end() ? "none" : policy->second.program);
  for_each_program(scenario, name, [&](const std::string& program) {
    const bool at_start = policy != scenario.policies.end() && program == policy->second.program;
    if (hook_kind(program) != XdpHook::Kind::program || at_start) return;
    throw InputError(
        "events: policies." + name + ": \"" + program +
        "\" is not attached at the start; a timed change can switch between that policy, none, pass and drop");
  });
  nic->program = make_program(name, scenario, replication, calibration, readable);
  nic->hook.program = nic->program.get();
  if (nic->program != nullptr && nic->program->has_return()) nic->hook.returns = nic->program.get();
  if (nic->program != nullptr && nic->program->has_egress()) nic->hook.egress = nic->program.get();
  if (is_function(scenario, name)) {
    nic->function = std::make_unique<FunctionProgram>(
        policy->second.given->function, static_cast<std::uint32_t>(params.rx_queues.size()), calibration, readable);
    nic->hook.program = nic->function.get();
  }
  nic->netfilter = netfilter_params(params.netfilter);

  std::uint32_t index = 0;
  for (const auto& [queue_name, queue] : params.rx_queues) {
    RxQueueParams made;
    made.name = nic->component + ".rx_queues." + queue_name;
    made.index = index++;
    made.ring_size = queue.rx_ring;
    made.coalescing = {queue.rx_usecs, queue.rx_frames == 0 ? UINT32_MAX : queue.rx_frames};
    made.adaptive_rx = queue.adaptive_rx;
    made.cqe_mode = params.rx_cqe_mode;
    made.gro = params.gro;
    made.busy_poll = queue.napi_busy_poll;
    made.gro_normal_batch = scenario.kernel.gro_normal_batch;
    made.napi_defer_hard_irqs = params.napi_defer_hard_irqs;
    made.gro_flush_timeout = time_from_ns(params.gro_flush_timeout_ns);
    made.irq_suspend_timeout = time_from_ns(params.irq_suspend_timeout_ns);
    made.record_latency = scenario.record.latency;
    HostQueue& host_queue = nic->queues.emplace_back();
    host_queue.queue = std::make_unique<RxQueue>(made, *nic->port, environment, nic->netfilter, nic->hook);
    if (!can_transmit(scenario, name)) continue;
    TxQueueParams transmit;
    transmit.name = made.name + ".xdp_tx";
    transmit.size = params.tx_ring;
    transmit.record_latency = scenario.record.latency;
    host_queue.xdp_tx = std::make_unique<TxQueue>(transmit, *nic->tx_link, pools, journal);
    host_queue.queue->set_xdp_tx(*host_queue.xdp_tx);
  }
  return nic;
}

}  // namespace rxpool
