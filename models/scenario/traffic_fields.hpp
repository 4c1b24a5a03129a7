#pragma once
// `traffic.<name>`: who sends what to which NIC. Wraps the parameter structs of models/traffic/params.hpp: the keys are
// here, the values end up in `source` (synthetic) or `capture` (pcap), ready for the traffic library. What is a list
// there is keyed by name here, as everywhere in a scenario; port ranges are text ("1024-65535").

#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "models/scenario/field.hpp"
#include "models/traffic/params.hpp"
#include "models/traffic/tcp/params.hpp"

namespace rxpool::scenario {

enum class TrafficKind { constant, poisson, mmpp, on_off, incast, flood, pcap, tcp };

struct TrafficParams {
  std::string nic;
  TrafficKind kind = TrafficKind::poisson;
  SourceParams source;    ///< every kind but pcap and tcp; complete after loading
  CaptureParams capture;  ///< pcap; complete after loading, `path` can be opened
  TcpSourceParams tcp;    ///< tcp; complete after loading
  double rate_gbps = 0;   ///< turned into source.arrivals.rate_pps by the loader, then 0
  double start_ms = 0;
  double stop_ms = 0;
  std::string file;  ///< pcap, as named in the scenario
  std::string source_ports = "1024-65535";
  std::string destination_ports = "9";
  std::map<std::string, double> size_weights;
  Named<MmppState> states;
  Named<RatePoint> schedule;
};

inline void fields(FieldVisitor& v, MmppState& p) {
  v.number("rate_pps", p.rate_pps, {0, 1e9, "packets/s"}, "Rate in this state.");
  v.number("mean_us", p.mean_us, {0.001, 1e9, "us"}, "Mean stay in this state, exponential.");
}

inline void fields(FieldVisitor& v, RatePoint& p) {
  v.number("at_ms", p.at_ms, time_ms(), "From when on.");
  v.number("factor", p.factor, {0, 1e6}, "The source's rate is multiplied by it.");
  v.flag("ramp", p.ramp, "Whether the factor moves linearly to the next point.");
}

/// `sizes`: a view of SizeParams and the named weights.
struct SizeFields {
  SizeParams& sizes;
  std::map<std::string, double>& weights;
};

inline void fields(FieldVisitor& v, SizeFields& p) {
  v.choice<SizeKind>("kind", p.sizes.kind,
                     {{"fixed", SizeKind::fixed}, {"imix", SizeKind::imix}, {"empirical", SizeKind::empirical}},
                     "Law of the frame sizes.");
  v.when(p.sizes.kind == SizeKind::fixed, "kind fixed", [&] {
    v.number("frame_bytes", p.sizes.frame_bytes, {min_frame_bytes, max_frame_bytes, "bytes"}, "Frame length with FCS.");
  });
  v.when(p.sizes.kind == SizeKind::empirical, "kind empirical", [&] {
    v.numbers("weights", p.weights, {0, 1e12}, "Relative frequency by frame length in bytes: {\"64\": 7, \"594\": 4}.");
  });
}

/// `flows`: a view of FlowParams and the port ranges as text.
struct FlowFields {
  FlowParams& flows;
  std::string& source_ports;
  std::string& destination_ports;
};

inline void fields(FieldVisitor& v, FlowFields& p) {
  FlowParams& f = p.flows;
  v.number("count", f.count, {1, 16777216, "flows"},
           "Number of flows, no more than addresses and ports can tell apart.");
  v.choice<std::uint32_t>("ip_version", f.ip_version, {{"4", 4}, {"6", 6}}, "IP version.");
  v.derive([&] {
    if (f.ip_version != 6) return;
    f.sources = "2001:2:0:1::/64";  // RFC 5180
    f.destinations = "2001:2:0:8000::1/128";
  });
  v.choice<std::uint32_t>("protocol", f.protocol, {{"udp", 17}, {"tcp", 6}}, "Transport protocol.");
  v.text("sources", f.sources, "Prefix of the source addresses.", "198.18.0.0/16, or 2001:2:0:1::/64");
  v.text("destinations", f.destinations, "Prefix of the destination addresses.",
         "198.19.0.1/32, or 2001:2:0:8000::1/128");
  v.text("source_ports", p.source_ports, "Source ports, \"first-last\" or one.");
  v.text("destination_ports", p.destination_ports, "Destination ports, \"first-last\" or one.");
  v.number("zipf_exponent", f.zipf_exponent, {0, 10},
           "Popularity of the i-th flow as 1 / (i + 1)^exponent; 0 uniform.");
  v.number("vlan", f.vlan, {0, 4094}, "802.1Q VLAN id; 0 no tag.");
  v.when(f.protocol == 6, "protocol tcp",
         [&] { v.number("tcp_flags", f.tcp_flags, {0, 255}, "Flag byte: 16 ACK, 2 SYN."); });
}

void fields(FieldVisitor& v, PathParams& p);
void fields(FieldVisitor& v, TrafficParams& p);

}  // namespace rxpool::scenario
