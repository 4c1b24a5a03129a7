#include "models/traffic/params.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>
#include <utility>

#include "models/traffic/flow_table.hpp"
#include "models/traffic/headers.hpp"
#include "models/traffic/rate_clock.hpp"
#include "models/traffic/tcp/params.hpp"
#include "sim/error.hpp"

namespace rxpool {

namespace {

constexpr double most_ms = 4.6e9;  // time_limit()
constexpr double infinity = std::numeric_limits<double>::infinity();

std::string text_of(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

/// Errors that name the field, its value and what is allowed.
class Check {
 public:
  explicit Check(std::string_view where) : where_(where) {}

  Check in(std::string_view part) const { return Check(where_ + "." + std::string(part)); }
  [[noreturn]] void fail(std::string_view field, const std::string& value, const std::string& wanted) const {
    throw InputError(where_ + "." + std::string(field) + ": " + value + " " + wanted);
  }
  void range(std::string_view field, double value, double low, double high, std::string_view unit = "") const {
    if (!(value >= low && value <= high)) {
      fail(field, text_of(value),
           "is outside " + text_of(low) + " to " + text_of(high) + (unit.empty() ? "" : " ") + std::string(unit));
    }
  }

 private:
  std::string where_;
};

void check_arrivals(const ArrivalParams& p, const Check& check) {
  if (p.kind != ArrivalKind::mmpp) {
    check.range("rate_pps", p.rate_pps, 1e-3, 1e9, "packets/s");
  }
  switch (p.kind) {
    case ArrivalKind::constant:
    case ArrivalKind::poisson:
      break;
    case ArrivalKind::mmpp: {
      check.range("states", static_cast<double>(p.states.size()), 2, 64, "states");
      double total = 0;
      for (std::size_t i = 0; i < p.states.size(); ++i) {
        const Check state = check.in("states[" + std::to_string(i) + "]");
        state.range("rate_pps", p.states[i].rate_pps, 0, 1e9, "packets/s");
        state.range("mean_us", p.states[i].mean_us, 0.001, 1e9, "µs");
        total += p.states[i].rate_pps;
      }
      if (total < 1e-3) {
        check.fail("states", "a rate of 0 in every state", "sends nothing: give one of them a rate_pps");
      }
      break;
    }
    case ArrivalKind::on_off:
      check.range("on_mean_us", p.on_mean_us, 0.001, 1e9, "µs");
      check.range("off_mean_us", p.off_mean_us, 0.001, 1e9, "µs");
      check.range("pareto_shape", p.pareto_shape, 1.01, 100);
      if (p.rate_pps * (p.on_mean_us + p.off_mean_us) / p.on_mean_us > 1e12) {
        check.fail("rate_pps", text_of(p.rate_pps), "means more than 1e12 packets/s while on: lengthen on_mean_us");
      }
      break;
    case ArrivalKind::incast: {
      check.range("incast_senders", p.incast_senders, 1, 65536, "senders");
      check.range("incast_frames", p.incast_frames, 1, 65536, "frames");
      const double burst = static_cast<double>(p.incast_senders) * p.incast_frames;
      check.range("incast_senders x incast_frames", burst, 1, 1'048'576, "frames");
      check.range("incast_jitter_us", p.incast_jitter_us, 0, burst / p.rate_pps * 1e6, "µs (one burst interval)");
      break;
    }
  }
}

void check_flows(const FlowParams& p, const Check& check) {
  if (p.ip_version != 4 && p.ip_version != 6) {
    check.fail("ip_version", std::to_string(p.ip_version), "is neither 4 nor 6");
  }
  if (p.protocol != protocol_udp && p.protocol != protocol_tcp) {
    check.fail("protocol", std::to_string(p.protocol), "is neither 17 (UDP) nor 6 (TCP)");
  }
  check.range("count", p.count, 1, 16'777'216, "flows");
  check.range("zipf_exponent", p.zipf_exponent, 0, 10);
  check.range("vlan", p.vlan, 0, 4094);
  check.range("tcp_flags", p.tcp_flags, 0, 255);
  const FlowParams defaults;
  for (const auto& [field, text, is_default] :
       {std::tuple{"sources", p.sources, p.sources == defaults.sources},
        std::tuple{"destinations", p.destinations, p.destinations == defaults.destinations}}) {
    const auto range = parse_address_range(text);
    const bool other_default = p.ip_version == 6 && (is_default || text.empty());
    if (!other_default && (!range || range->ip_version != p.ip_version)) {
      check.fail(field, "'" + text + "'",
                 "is not an IPv" + std::to_string(p.ip_version) + " prefix such as " +
                     (p.ip_version == 6 ? "2001:2:0:1::/64" : "198.18.0.0/16") + " without bits behind its length");
    }
  }
  for (const auto& [field, ports] :
       {std::pair{"source_ports", p.source_ports}, std::pair{"destination_ports", p.destination_ports}}) {
    if (ports.first > ports.last) {
      check.fail(field, std::to_string(ports.first) + "-" + std::to_string(ports.last),
                 "ends before it begins: swap the two");
    }
  }
  const std::uint64_t distinct = distinct_keys(p);
  if (p.addresses == AddressKind::per_flow && p.count > distinct) {
    check.fail("count", std::to_string(p.count),
               "flows are more than the " + std::to_string(distinct) +
                   " that the address and port ranges tell apart: widen sources or source_ports");
  }
}

void check_sizes(const SizeParams& p, const FlowParams& flows, const Check& check) {
  const double least = std::max<double>(
      min_frame_bytes,
      static_cast<double>(header_bytes(flows.ip_version, flows.protocol, flows.vlan != 0) + fcs_bytes));
  switch (p.kind) {
    case SizeKind::fixed:
      check.range("frame_bytes", p.frame_bytes, least, max_frame_bytes, "bytes (headers and FCS included)");
      break;
    case SizeKind::imix:
      break;
    case SizeKind::empirical: {
      check.range("table", static_cast<double>(p.table.size()), 1, 65536, "sizes");
      double total = 0;
      for (std::size_t i = 0; i < p.table.size(); ++i) {
        const Check entry = check.in("table[" + std::to_string(i) + "]");
        entry.range("frame_bytes", p.table[i].frame_bytes, least, max_frame_bytes, "bytes (headers and FCS included)");
        entry.range("weight", p.table[i].weight, 0, 1e12);
        total += p.table[i].weight;
      }
      if (!(total > 0)) {
        check.fail("table", "a weight of 0 for every size", "leaves nothing to send: give one of them a weight");
      }
      break;
    }
  }
}

void check_times(double start_ms, double stop_ms, const std::vector<RatePoint>& schedule, const Check& check) {
  check.range("start_ms", start_ms, 0, most_ms, "ms");
  if (!(stop_ms > start_ms)) {
    check.fail("stop_ms", text_of(stop_ms), "is not after start_ms " + text_of(start_ms));
  }
  if (stop_ms != infinity) {
    check.range("stop_ms", stop_ms, 0, most_ms, "ms");
  }
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    const Check point = check.in("schedule[" + std::to_string(i) + "]");
    point.range("at_ms", schedule[i].at_ms, 0, most_ms, "ms");
    point.range("factor", schedule[i].factor, 0, 1e6);
    if (i > 0 && time_of_ms(schedule[i].at_ms) <= time_of_ms(schedule[i - 1].at_ms)) {
      point.fail("at_ms", text_of(schedule[i].at_ms), "is not after the point before it: sort the schedule");
    }
  }
}

}  // namespace

void SourceParams::validate(std::string_view where) const {
  const Check check(where);
  check_arrivals(arrivals, check);
  check_flows(flows, check);
  check_sizes(sizes, flows, check);
  check_times(start_ms, stop_ms, schedule, check);
}

void TcpSourceParams::validate(std::string_view where) const {
  const Check check(where);
  FlowParams tcp = flows;
  tcp.protocol = protocol_tcp;
  check_flows(tcp, check);
  SizeParams sizes;
  sizes.frame_bytes = frame_bytes;
  check_sizes(sizes, tcp, check);
  check_times(start_ms, stop_ms, {}, check);
  check.range("congestion.initial_window", congestion.initial_window, 1, 1000, "segments");
  check.range("transfer_kib", transfer_kib, 0, 1e9, "KiB");
  check.range("every_ms", every_ms, 0, most_ms, "ms");
  check.range("spread_ms", spread_ms, 0, most_ms, "ms");
  if (every_ms > 0 && transfer_kib == 0) {
    check.fail("every_ms", text_of(every_ms), "repeats a transfer without end: give it a transfer_kib");
  }
  const Check way = check.in("path");
  way.range("rtt_us", path.rtt_us, 1, 1e7, "µs");
  way.range("rate_gbps", path.rate_gbps, 0.001, 1600, "Gbit/s");
  way.range("queue_kib", path.queue_kib, 0, 1e7, "KiB");
  way.range("loss", path.loss, 0, 0.5);
  way.range("ecn_threshold_kib", path.ecn_threshold_kib, 0, 1e7, "KiB");
}

void CaptureParams::validate(std::string_view where) const {
  const Check check(where);
  if (path.empty()) {
    check.fail("path", "''", "names no capture file");
  }
  check.range("time_scale", time_scale, 1e-6, 1e6);
  check.range("rate_scale", rate_scale, 0.001, 1000);
  check_times(start_ms, stop_ms, schedule, check);
}

}  // namespace rxpool
