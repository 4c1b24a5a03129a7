#include "models/scenario/finish.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <type_traits>

#include "models/scenario/json_text.hpp"
#include "models/traffic/headers.hpp"
#include "sim/error.hpp"

namespace rxpool::scenario {
namespace {

constexpr double preamble_and_gap_bytes = 20;

double mean_bytes(const SizeParams& sizes, const FlowParams& flows) {
  if (sizes.kind == SizeKind::fixed) return sizes.frame_bytes;
  if (sizes.kind == SizeKind::imix) {
    const std::size_t least = header_bytes(flows.ip_version, flows.protocol, flows.vlan != 0) + fcs_bytes;
    return (7.0 * static_cast<double>(std::max<std::size_t>(64, least)) + 4 * 594.0 + 1518.0) / 12;
  }
  double sum = 0;
  double weights = 0;
  for (const SizeWeight& entry : sizes.table) {
    sum += entry.frame_bytes * entry.weight;
    weights += entry.weight;
  }
  return sum / weights;
}

void finish_sizes(TrafficParams& p, const std::string& place, const Origin& origin) {
  SizeParams& sizes = p.source.sizes;
  sizes.table.clear();
  double total = 0;
  for (const auto& [name, weight] : p.size_weights) {
    SizeWeight entry{0, weight};
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), entry.frame_bytes);
    if (error != std::errc() || end != name.data() + name.size() || entry.frame_bytes < min_frame_bytes ||
        entry.frame_bytes > max_frame_bytes) {
      origin.fail(place + ".sizes.weights", in_quotes(name) + " is no frame length; use 64 … 9234 bytes");
    }
    sizes.table.push_back(entry);
    total += weight;
  }
  std::sort(sizes.table.begin(), sizes.table.end(),
            [](const SizeWeight& a, const SizeWeight& b) { return a.frame_bytes < b.frame_bytes; });
  if (sizes.kind == SizeKind::empirical && !(total > 0)) {
    origin.fail(place + ".sizes.weights", "missing; give at least one frame length a weight above 0");
  }
}

void finish_rate(TrafficParams& p, const std::string& place, const Origin& origin) {
  double& rate_pps = p.source.arrivals.rate_pps;
  if (p.kind == TrafficKind::mmpp) return;
  if (p.rate_gbps > 0 && rate_pps > 0) {
    origin.fail(place + ".rate_gbps", "given beside rate_pps; keep one of them");
  }
  if (p.rate_gbps > 0) {
    rate_pps = p.rate_gbps * 1e9 / (8 * (mean_bytes(p.source.sizes, p.source.flows) + preamble_and_gap_bytes));
    p.rate_gbps = 0;
  }
  if (rate_pps < 0.001) {
    origin.fail(place + ".rate_pps", "missing or below 0.001 packets/s; give rate_pps or rate_gbps");
  }
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

/// "1024-65535" or "9".
PortRange ports(const std::string& text, const std::string& place, const Origin& origin) {
  const std::size_t dash = text.find('-');
  const auto first = parse_port(std::string_view(text).substr(0, dash));
  const auto last = dash == std::string::npos ? first : parse_port(std::string_view(text).substr(dash + 1));
  if (!first || !last || *last < *first) {
    origin.fail(place, in_quotes(text) + " is no port range; write \"first-last\" or \"port\", 0 … 65535");
  }
  return PortRange{*first, *last};
}

void finish_flows(TrafficParams& p, const std::string& place, const Origin& origin) {
  FlowParams& flows = p.source.flows;
  flows.addresses = p.kind == TrafficKind::flood ? AddressKind::per_packet : AddressKind::per_flow;
  flows.source_ports = ports(p.source_ports, place + ".flows.source_ports", origin);
  flows.destination_ports = ports(p.destination_ports, place + ".flows.destination_ports", origin);
}

/// The traffic library's own checks, with the place that the field has in a scenario.
template <class Params>
void validate(const Params& params, const std::string& place, const Origin& origin) {
  try {
    params.validate(place);
  } catch (const InputError& error) {
    const std::string text = error.what();
    const std::size_t colon = text.find(": ");
    if (colon == std::string::npos || colon <= place.size()) origin.fail(place, text);
    std::string field = text.substr(place.size() + 1, colon - place.size() - 1);
    if (field == "frame_bytes" && !std::is_same_v<Params, TcpSourceParams>) field = "sizes.frame_bytes";
    if (field.rfind("table", 0) == 0) field = "sizes.weights";
    for (const char* inner : {"count", "sources", "destinations", "zipf_exponent", "vlan", "tcp_flags"}) {
      if (field == inner) field = std::string("flows.") + inner;
    }
    origin.fail(place + "." + field, text.substr(colon + 2));
  }
}

ArrivalKind arrival_kind(TrafficKind kind) {
  switch (kind) {
    case TrafficKind::constant:
      return ArrivalKind::constant;
    case TrafficKind::mmpp:
      return ArrivalKind::mmpp;
    case TrafficKind::on_off:
      return ArrivalKind::on_off;
    case TrafficKind::incast:
      return ArrivalKind::incast;
    case TrafficKind::poisson:
    case TrafficKind::flood:
    case TrafficKind::pcap:
    case TrafficKind::tcp:
      break;
  }
  return ArrivalKind::poisson;
}

void finish_traffic(TrafficParams& p, const std::string& place, const Origin& origin) {
  std::vector<RatePoint> schedule;
  for (const auto& entry : p.schedule) schedule.push_back(entry.second);
  std::sort(schedule.begin(), schedule.end(), [](const RatePoint& a, const RatePoint& b) { return a.at_ms < b.at_ms; });
  for (std::size_t i = 1; i < schedule.size(); ++i) {
    if (schedule[i].at_ms == schedule[i - 1].at_ms) {
      origin.fail(place + ".schedule", "two changes at the same time; keep one of them");
    }
  }
  if (p.stop_ms != 0 && p.stop_ms <= p.start_ms) {
    origin.fail(place + ".stop_ms", "is not after start_ms; 0 never stops");
  }
  const double stop_ms = p.stop_ms == 0 ? std::numeric_limits<double>::infinity() : p.stop_ms;
  if (p.kind == TrafficKind::pcap) {
    if (p.file.empty()) origin.fail(place + ".file", "missing; name a capture");
    p.capture.start_ms = p.start_ms;
    p.capture.stop_ms = stop_ms;
    p.capture.schedule = std::move(schedule);
    p.capture.path = p.file;  // until it is found
    validate(p.capture, place, origin);
    return;
  }
  if (p.kind == TrafficKind::tcp) {
    finish_flows(p, place, origin);
    if (p.source.flows.protocol != 6) origin.fail(place + ".flows.protocol", "is udp; leave it out for kind tcp");
    p.tcp.flows = p.source.flows;
    p.tcp.start_ms = p.start_ms;
    p.tcp.stop_ms = stop_ms;
    validate(p.tcp, place, origin);
    return;
  }
  p.source.start_ms = p.start_ms;
  p.source.stop_ms = stop_ms;
  p.source.schedule = std::move(schedule);
  p.source.arrivals.kind = arrival_kind(p.kind);
  finish_sizes(p, place, origin);
  finish_rate(p, place, origin);
  finish_flows(p, place, origin);
  p.source.arrivals.states.clear();
  for (const auto& entry : p.states) p.source.arrivals.states.push_back(entry.second);
  if (p.kind == TrafficKind::mmpp && (p.states.size() < 2 || p.states.size() > 64)) {
    origin.fail(place + ".states", std::to_string(p.states.size()) + " states; give 2 … 64");
  }
  validate(p.source, place, origin);
}

}  // namespace

void finish(Scenario& scenario, const Origin& origin) {
  for (auto& [name, traffic] : scenario.traffic) finish_traffic(traffic, "traffic." + name, origin);
  for (const auto& entry : scenario.nics) scenario.policies.try_emplace(entry.first);
}

}  // namespace rxpool::scenario
