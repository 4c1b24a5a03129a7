#include "models/scenario/scenario.hpp"

#include <cmath>
#include <filesystem>

#include "models/calibration/calibration.hpp"
#include "models/scenario/checks.hpp"
#include "models/scenario/events.hpp"
#include "models/scenario/field_reader.hpp"
#include "models/scenario/field_writer.hpp"
#include "models/scenario/files.hpp"
#include "models/scenario/finish.hpp"
#include "models/scenario/json_text.hpp"
#include "models/scenario/overrides.hpp"

namespace rxpool {

using nlohmann::json;

namespace scenario {

void fields(FieldVisitor& v, Scenario& p) {
  v.text("$schema", p.schema, "For editors: schema.json beside the shipped scenarios.");
  v.text("question", p.question, "What the scenario answers, one sentence.");
  v.choice<Analysis>("analysis", p.analysis, {{"transient", Analysis::transient}, {"steady", Analysis::steady}},
                     "Whether replications are compared over the whole run or in steady state.");
  v.number("seed", p.seed, {0, 18446744073709551615.0}, "Seed of all random streams.");
  v.number("replications", p.replications, {1, 100000}, "Independent replications.");
  v.number("warmup_ms", p.warmup_ms, time_ms(),
           "Simulated before metrics are counted; the ledgers and the bottleneck are of the whole run.");
  v.number("duration_ms", p.duration_ms, time_ms(), "Simulated and counted, above 0.");
  v.text("calibration", p.calibration, "Name of a calibration, or the path of its file.");
  v.flag("calibration_uncertainty", p.calibration_uncertainty,
         "Draws the fitted prices from the covariance of their fit, anew in each replication.");
  v.object("kernel", p.kernel, "Kernel release and sysctls.");
  v.children("cpus", p.cpus, "CPUs.");
  v.object("memory", p.memory, "Memory and what else uses it.");
  v.children("nics", p.nics, "Network devices.");
  v.children("sockets", p.sockets, "UDP sockets with the applications that read them.");
  v.children("xsks", p.xsks, "AF_XDP sockets with the applications that read them.");
  v.children("pmds", p.pmds, "Poll-mode drivers in user space with their applications.");
  v.children("traffic", p.traffic, "Who sends what; the order of their names breaks ties in time.");
  v.children("policies", p.policies, "XDP program of each NIC, by the NIC's name.", {}, "program");
  v.object("control", p.control, "Detectors, signal, circuit breaker, pool limit (docs/control.md).");
  v.children("events", p.events, "Timed changes.");
  v.object("faults", p.faults, "Injected faults.");
  v.object("record", p.record, "What is written down.");
  v.number("tolerance", p.tolerance, {0, 10}, "How far the headline may be from its figure, as a fraction.");
  v.object("headline", p.headline, "The number that the scenario is about.");
}

namespace {

json written(Scenario copy) {
  FieldWriter writer;
  fields(writer, copy);
  return writer.take();
}

}  // namespace
}  // namespace scenario

Scenario load_scenario(std::string_view text, const LoadOptions& options) {
  const scenario::Origin origin(options.source_name, options.overrides);
  json document = scenario::parse_json(text, options.source_name);
  if (document.is_object()) scenario::apply_overrides(document, options.overrides, origin);
  Scenario loaded;
  loaded.source_name = options.source_name;
  scenario::FieldReader reader(origin, document, "");
  scenario::fields(reader, loaded);
  reader.refuse_unknown();
  scenario::finish(loaded, origin);
  scenario::check(loaded, origin);
  scenario::find_files(loaded, options, origin);
  if (!loaded.events.empty()) scenario::check_events(loaded, scenario::written(loaded), options, origin);
  return loaded;
}

Scenario load_scenario_file(const std::string& path, LoadOptions options) {
  const std::string text = scenario::read_text_file(path);
  options.source_name = path;
  options.folder = std::filesystem::path(path).parent_path().string();
  return load_scenario(text, options);
}

std::string resolved_json(const Scenario& scenario) {
  return scenario::written(scenario).dump(2) + "\n";
}

std::vector<std::string> named_files(const Scenario& scenario) {
  std::vector<std::string> files = calibration_files(scenario.calibration_file);
  for (const auto& [name, traffic] : scenario.traffic) {
    if (traffic.kind == scenario::TrafficKind::pcap) files.push_back(traffic.capture.path);
  }
  for (const auto& [name, policy] : scenario.policies) {
    if (!policy.file.empty()) files.push_back(policy.file);
  }
  return files;
}

Time time_from_ms(double ms) {
  return Time{std::llround(ms * 1e9)};
}
Time time_from_us(double us) {
  return Time{std::llround(us * 1e6)};
}
Time time_from_ns(double ns) {
  return Time{std::llround(ns * 1e3)};
}

}  // namespace rxpool
