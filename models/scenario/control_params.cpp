#include "models/scenario/control_params.hpp"

namespace rxpool::scenario {

void fields(FieldVisitor& v, DetectorFields& p) {
  DetectorParams& d = p.params;
  v.choice<DetectorKind>("kind", d.kind,
                         {{"jiffies_counter", DetectorKind::jiffies_counter},
                          {"no_refill", DetectorKind::no_refill},
                          {"ewma", DetectorKind::ewma},
                          {"window_quantile", DetectorKind::window_quantile},
                          {"cusum", DetectorKind::cusum},
                          {"kalman", DetectorKind::kalman}},
                         "Which detector (docs/control.md).");
  v.number("band", d.band, {0, 10}, "Changes within this share of the estimate are none.");
  v.number("band_pages", d.band_pages, {1, 1e9, "pages"}, "Changes within so many pages are none.");
  const auto of = [&](DetectorKind kind, auto&& block) {
    v.when(d.kind == kind, "kind " + std::string(detector_name(kind)), block);
  };
  of(DetectorKind::jiffies_counter, [&] {
    v.number("jiffies", d.jiffies, {1, 100000, "jiffies"}, "The counter is looked at and reset every so many.");
    v.number("tolerance", d.tolerance, {0, 1}, "Counter over allocations that still is near zero.");
  });
  of(DetectorKind::no_refill, [&] {
    v.number("quiet_ms", p.quiet_ms, time_ms(0.001), "Without a call of the page allocator for so long: steady.");
    v.number("excess", d.excess, {0, 1e6}, "Free pages per held page that are not excessive.");
  });
  of(DetectorKind::ewma, [&] {
    v.number("time_constant_ms", p.time_constant_ms, time_ms(0.001), "Time constant of the exponential mean.");
  });
  of(DetectorKind::window_quantile, [&] {
    v.number("window_ms", p.window_ms, time_ms(0.001), "Length of the window.");
    v.number("quantile", d.quantile, {0, 1}, "Quantile of held in the window.");
  });
  of(DetectorKind::cusum, [&] {
    v.number("learn_ms", p.learn_ms, time_ms(0.001), "How long a level is learnt.");
    v.number("drift", d.drift, {0, 100}, "Deviation, in standard deviations, that adds nothing.");
    v.number("threshold", d.threshold, {0.1, 1e6}, "Sum, in standard deviations, that is a change.");
  });
  of(DetectorKind::kalman, [&] {
    v.number("level_noise", d.level_noise, {0, 1e9, "pages/√s"}, "Random walk of the level.");
    v.number("trend_noise", d.trend_noise, {0, 1e12, "pages/s/√s"}, "Random walk of the trend.");
    v.number("measurement_noise", d.measurement_noise, {0.001, 1e9, "pages"}, "Spread of held around its level.");
    v.number("horizon_ms", p.horizon_ms, time_ms(0.001), "A trend inside the band for so long is none.");
  });
}

void fields(FieldVisitor& v, ScoreFields& p) {
  v.flag("enabled", p.enabled, "Whether detectors are scored against the truth after the run.");
  v.number("every_us", p.every_us, time_us(1), "Resolution of truth and scores.");
  v.number("window_ms", p.window_ms, time_ms(0.001), "The truth is the largest held within so long from now.");
  v.number("band", p.band, {0, 10}, "An estimate within this share of the truth is right.");
  v.number("band_pages", p.band_pages, {1, 1e9, "pages"}, "Or within so many pages.");
}

void fields(FieldVisitor& v, SignalFields& p) {
  v.number("period_us", p.period_us, time_us(1), "How often the signal is written; a multiple of control.period_us.");
  v.number("latency_us", p.latency_us, time_us(),
           "From the reading to the write; 0 is ideal, as if the driver wrote it.");
  v.flag("zero", p.zero, "Whether the state bits stay 0: the same policy without a signal, for comparison.");
}

void fields(FieldVisitor& v, OverloadFields& p) {
  OverloadParams& o = p.params;
  v.number("backlog_share", o.backlog_share, {0.001, 2},
           "RX: share of the ring that waits for the driver; above 1 not used. No driver exports it: sim-only.");
  v.flag("drops", o.drops, "RX: frames were lost for want of a descriptor, with the scope of the driver's counter.");
  v.number("full_polls", o.full_polls, {0, 1e9, "polls"}, "RX: so many full polls in a row; 0 not used.");
  v.number("tx_share", o.tx_share, {0.001, 2}, "TX: share of an egress ring that is filled; above 1 not used.");
  v.number("clear_ms", p.clear_ms, time_ms(), "Without any sign for so long: over.");
}

void fields(FieldVisitor& v, BreakerFields& p) {
  BreakerParams& b = p.params;
  v.choice<BreakerThreshold>("threshold", b.threshold,
                             {{"none", BreakerThreshold::none},
                              {"pages", BreakerThreshold::pages},
                              {"working_set", BreakerThreshold::working_set},
                              {"zone_share", BreakerThreshold::zone_share},
                              {"time_to_oom", BreakerThreshold::time_to_oom},
                              {"share_or_oom", BreakerThreshold::share_or_oom}},
                             "What held is compared with; none: no breaker.");
  const auto of = [&](BreakerThreshold kind, std::string_view name, auto&& block) {
    v.when(b.threshold == kind, name, block);
  };
  of(BreakerThreshold::pages, "threshold pages",
     [&] { v.number("pages", b.pages, {1, 1e12, "pages"}, "Held above it is over."); });
  of(BreakerThreshold::working_set, "threshold working_set", [&] {
    v.number("factor", b.factor, {0.01, 1e6},
             "Held above so many times the last steady working set, at least the ring.");
  });
  v.when(b.threshold == BreakerThreshold::zone_share || b.threshold == BreakerThreshold::share_or_oom,
         "threshold zone_share or share_or_oom", [&] {
           v.number("share", b.share, {0.0001, 1},
                    "Held above this share of the node's pages is over; with share_or_oom also a queue whose growth"
                    " takes the zone to its low watermark within hold_ms.");
         });
  of(BreakerThreshold::time_to_oom, "threshold time_to_oom", [&] {
    v.number("horizon_ms", p.horizon_ms, time_ms(0.001),
             "Over when this queue's growth takes the zone to its low watermark within it.");
  });
  v.choice<BreakerScope>("scope", p.scope, {{"queue", BreakerScope::queue}, {"global", BreakerScope::global}},
                         "One breaker per RX queue, or one for all, for comparison only.");
  v.number("reference_rtt_ms", p.reference_rtt_ms, time_ms(), "Longest round trip that senders are granted.");
  v.derive([&] { p.hold_ms = p.open_ms = p.probe_ms = p.reference_rtt_ms; });
  v.number("hold_ms", p.hold_ms, time_ms(), "Over the threshold for so long before it trips.", "reference_rtt_ms");
  v.number("reaction_ms", p.reaction_ms, time_ms(),
           "The hold ends when the free pages will reach the low watermark within it.");
  v.number("forecast_ms", p.forecast_ms, time_ms(0.001), "Time constant of the slopes that are forecast from.");
  v.number("close_share", b.close_share, {0, 1}, "Held below this share of the threshold before it probes.");
  v.number("open_ms", p.open_ms, time_ms(), "Open for at least so long; doubles with a failed probe.",
           "reference_rtt_ms");
  v.number("probe_ms", p.probe_ms, time_ms(), "Half open for so long without harm before it closes.",
           "reference_rtt_ms");
  v.number("probe_one_in", p.probe_one_in, {1, 1000000, "packets"},
           "Half open: one of so many packets without approval passes.");
}

void fields(FieldVisitor& v, PoolFields& p) {
  v.choice<ReturnRule>("returns", p.params.rule,
                       {{"never", ReturnRule::never},
                        {"immediate", ReturnRule::immediate},
                        {"paced", ReturnRule::paced},
                        {"watermark", ReturnRule::watermark},
                        {"decay", ReturnRule::decay}},
                       "How free pages go back to the page allocator; never is the kernel's.");
  v.choice<LimitRule>("limit", p.params.limit,
                      {{"none", LimitRule::none}, {"soft", LimitRule::soft}, {"absolute", LimitRule::absolute}},
                      "Whether descriptors, working set and slack bound the pool.");
  v.number("slack", p.params.slack, {0, 1000}, "Share of the working set kept on top of it, at least 0.");
  v.number("pages_per_ms", p.params.pages_per_ms, {0, 1e6, "pages/ms"}, "Rate of returns paced.");
  v.number("half_life_ms", p.half_life_ms, time_ms(0.001), "Half-life of the excess with returns decay.");
}

void fields(FieldVisitor& v, LeakFields& p) {
  v.number("window_ms", p.window_ms, time_ms(), "Window of the scores; 0 keeps none.");
}

void fields(FieldVisitor& v, ControlParams& p) {
  v.number("period_us", p.period_us, time_us(1), "How often detectors and breakers look.");
  v.text("cpu", p.cpu, "CPU whose time the looks cost, as a thread's; empty: outside the host, at no cost (CT-52).");
  v.number("look_ns", p.look_ns, time_ns(), "CPU time of one look, per RX queue (CT-52).");
  v.children("detectors", p.detectors, "Working-set detectors; all of them run beside each other.");
  v.text("working_set", p.working_set, "The detector whose estimate is used; empty: the first.");
  v.object("score", p.score, "Scores of the detectors.");
  v.object("signal", p.signal, "The signal that policies read.");
  v.object("overload", p.overload, "Overload detectors of each RX queue.");
  v.object("breaker", p.breaker, "The circuit breaker of each RX queue.", "threshold");
  v.object("pool", p.pool, "Free pages and limit of each page_pool.");
  v.object("leak", p.leak, "Scores that tell a leak from a slow consumer (CT-51).");
}

}  // namespace rxpool::scenario
