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

void tcp_fields(FieldVisitor& v, TcpSourceParams& t) {
  using enum TcpAlgorithm;
  v.choice<TcpAlgorithm>("congestion_control", t.congestion.algorithm,
                         {{"reno", reno}, {"cubic", cubic}, {"dctcp", dctcp}, {"bbr", bbr}},
                         "Congestion control of the senders (TC-20 to TC-23).");
  v.number("initial_window", t.congestion.initial_window, {1, 1000, "segments"}, "Segments under way at first.");
  v.number("frame_bytes", t.frame_bytes, {min_frame_bytes, max_frame_bytes, "bytes"}, "Frame of a segment, with FCS.");
  v.number("transfer_kib", t.transfer_kib, {0, 1e9, "KiB"}, "What each connection sends; 0 without end.");
  v.number("every_ms", t.every_ms, time_ms(), "All send that much again after this; 0 once.");
  v.number("spread_ms", t.spread_ms, time_ms(), "Each connection is late by up to this; 0 is incast.");
  v.object("path", t.path, "The way from the senders to the link (TC-1 to TC-3).");
}

}  // namespace

void fields(FieldVisitor& v, PathParams& p) {
  v.number("rtt_us", p.rtt_us, {1, 1e7, "us"}, "Round-trip time without queues.");
  v.number("rate_gbps", p.rate_gbps, {0.001, 1600, "Gbit/s"}, "Rate of the bottleneck.");
  v.number("queue_kib", p.queue_kib, {0, 1e7, "KiB"},
           "Room in front of it; 0 one product of rate and round-trip time.");
  v.number("loss", p.loss, {0, 0.5}, "Probability that a packet is lost besides.");
  v.number("ecn_threshold_kib", p.ecn_threshold_kib, {0, 1e7, "KiB"},
           "Packets that find more than this waiting are marked for senders with ECN (dctcp); 0 never.");
}

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
                         {"pcap", pcap},
                         {"tcp", tcp}},
                        "Law of the arrivals; `flood` is Poisson with random addresses and ports in every packet; `tcp`"
                        " answers to what the host acknowledges.");
  v.number("start_ms", p.start_ms, time_ms(), "When it starts.");
  v.number("stop_ms", p.stop_ms, time_ms(), "When it stops; 0 never.");
  const bool synthetic = p.kind != pcap && p.kind != tcp;
  v.when(p.kind != tcp, "every kind but tcp",
         [&] { v.children("schedule", p.schedule, "Changes of the rate, in the order of their times."); });
  v.derive([&] {
    if (p.kind != mmpp) p.source.arrivals.rate_pps = 0;  // has to be given
  });
  v.when(synthetic && p.kind != mmpp, "every kind but mmpp, pcap and tcp", [&] {
    v.number("rate_pps", p.source.arrivals.rate_pps, {0, 1e9, "packets/s"}, "Long-run mean rate; this or `rate_gbps`.");
    v.number("rate_gbps", p.rate_gbps, {0, 1600, "Gbit/s"}, "The same as bits on the wire, preamble and gap included.");
  });
  v.when(synthetic, "every kind but pcap and tcp", [&] {
    SizeFields sizes{p.source.sizes, p.size_weights};
    v.object("sizes", sizes, "Frame sizes.", "frame_bytes");
  });
  v.derive([&] {
    if (p.kind != tcp) return;
    p.source.flows.count = 1;  // connections; ten thousand of them would be many
    p.source.flows.protocol = 6;
  });
  v.when(p.kind != pcap, "every kind but pcap", [&] {
    FlowFields flows{p.source.flows, p.source_ports, p.destination_ports};
    v.object("flows", flows, "Flows; of kind tcp the connections.", "count");
  });
  v.when(p.kind == mmpp, "kind mmpp",
         [&] { v.children("states", p.states, "States, 2 to 64, visited in the order of their names."); });
  v.when(p.kind == on_off, "kind on_off", [&] { on_off_fields(v, p.source.arrivals); });
  v.when(p.kind == incast, "kind incast", [&] { incast_fields(v, p.source.arrivals); });
  v.when(p.kind == pcap, "kind pcap", [&] { capture_fields(v, p); });
  v.when(p.kind == tcp, "kind tcp", [&] { tcp_fields(v, p.tcp); });
}

}  // namespace rxpool::scenario
