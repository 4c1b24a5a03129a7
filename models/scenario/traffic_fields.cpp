#include "models/scenario/traffic_fields.hpp"

namespace rxpool::scenario {
namespace {

void incast_fields(FieldVisitor& v, ArrivalParams& a) {
  v.number("incast_senders", a.incast_senders, {1, 65536}, "Senders that answer at once.");
  v.number("incast_frames", a.incast_frames, {1, 65536, "frames"}, "Frames of one answer.");
  v.number("incast_jitter_us", a.incast_jitter_us, {0, 1e9, "us"}, "Each sender starts uniformly within this.");
}

void on_off_fields(FieldVisitor& v, ArrivalParams& a) {
  v.choice<PeriodKind>("periods", a.periods, {{"exponential", PeriodKind::exponential}, {"pareto", PeriodKind::pareto}},
                       "Law of the on and off periods.");
  v.number("on_mean_us", a.on_mean_us, {0.001, 1e9, "us"}, "Mean on period.");
  v.number("off_mean_us", a.off_mean_us, {0.001, 1e9, "us"}, "Mean off period.");
  v.number("pareto_shape", a.pareto_shape, {1.01, 100}, "Shape of pareto periods; infinite variance up to 2.");
}

void capture_fields(FieldVisitor& v, TrafficParams& p) {
  v.text("file", p.file, "Capture file, pcap or pcapng, required.");
  v.number("time_scale", p.capture.time_scale, {1e-6, 1e6}, "Gaps are multiplied by it: 2 is half as fast.");
  v.number("rate_scale", p.capture.rate_scale, {0.001, 1000}, "Frames sent per captured frame.");
  v.flag("loop", p.capture.loop, "Start again after the last frame.");
  v.flag("cut_frames", p.capture.cut_frames, "Accept frames of which only the beginning was captured.");
}

}  // namespace

void fields(FieldVisitor& v, TrafficParams& p) {
  using enum TrafficKind;
  v.text("nic", p.nic, "NIC that receives it, required.");
  v.choice<TrafficKind>("kind", p.kind,
                        {{"constant", constant},
                         {"poisson", poisson},
                         {"mmpp", mmpp},
                         {"on_off", on_off},
                         {"incast", incast},
                         {"flood", flood},
                         {"pcap", pcap}},
                        "Law of the arrivals; `flood` is Poisson with random addresses and ports in every packet.");
  v.number("start_ms", p.start_ms, time_ms(), "When it starts.");
  v.number("stop_ms", p.stop_ms, time_ms(), "When it stops; 0 never.");
  v.children("schedule", p.schedule, "Changes of the rate, in the order of their times.");

  const bool synthetic = p.kind != pcap;
  v.derive([&] {
    if (p.kind != mmpp) p.source.arrivals.rate_pps = 0;  // has to be given
  });
  v.when(synthetic && p.kind != mmpp, "every kind but mmpp and pcap", [&] {
    v.number("rate_pps", p.source.arrivals.rate_pps, {0, 1e9, "packets/s"}, "Long-run mean rate; this or `rate_gbps`.");
    v.number("rate_gbps", p.rate_gbps, {0, 1600, "Gbit/s"}, "The same as bits on the wire, preamble and gap included.");
  });
  v.when(synthetic, "every kind but pcap", [&] {
    SizeFields sizes{p.source.sizes, p.size_weights};
    v.object("sizes", sizes, "Frame sizes.", "frame_bytes");
    FlowFields flows{p.source.flows, p.source_ports, p.destination_ports};
    v.object("flows", flows, "Flows.", "count");
  });
  v.when(p.kind == mmpp, "kind mmpp",
         [&] { v.children("states", p.states, "States, 2 to 64, visited in the order of their names."); });
  v.when(p.kind == on_off, "kind on_off", [&] { on_off_fields(v, p.source.arrivals); });
  v.when(p.kind == incast, "kind incast", [&] { incast_fields(v, p.source.arrivals); });
  v.when(p.kind == pcap, "kind pcap", [&] { capture_fields(v, p); });
}

}  // namespace rxpool::scenario
