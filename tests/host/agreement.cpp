#include "tests/host/agreement.hpp"

#include <map>

#include "models/result.hpp"
#include "tests/oracles/reference_engine.hpp"

namespace rxpool {
namespace {

using Counts = std::map<std::string, std::uint64_t>;

void compare(const std::string& what, const Counts& simulator, const Counts& reference,
             std::vector<std::string>& differences) {
  Counts names = simulator;
  names.insert(reference.begin(), reference.end());
  for (const auto& [name, unused] : names) {
    const auto a = simulator.find(name);
    const auto b = reference.find(name);
    const std::uint64_t left = a == simulator.end() ? 0 : a->second;
    const std::uint64_t right = b == reference.end() ? 0 : b->second;
    if (left == right) continue;
    differences.push_back(what + " " + name + ": simulator " + std::to_string(left) + ", reference " +
                          std::to_string(right));
  }
}

}  // namespace

Agreement compare_with_reference(const Scenario& scenario) {
  const ReplicationResult simulator = run_replication(scenario, {});
  const reference::ReferenceResult reference = reference::run_reference(scenario);
  Agreement agreement;
  agreement.packets = reference.packets.total;
  std::vector<std::string>& differences = agreement.differences;
  if (simulator.fingerprint != reference.fingerprint) differences.push_back("fingerprint");
  compare("packets", {{"total", simulator.packets.total}}, {{"total", reference.packets.total}}, differences);
  compare("packets", simulator.packets.places, reference.packets.places, differences);
  compare("pages", {{"total", simulator.pages.total}}, {{"total", reference.pages.total}}, differences);
  compare("pages", simulator.pages.places, reference.pages.places, differences);
  Counts counters;
  for (const MetricRow& row : simulator.metrics) {
    const std::string name = row.component + "." + row.metric;
    if (reference.counters.contains(name)) counters[name] = static_cast<std::uint64_t>(row.value);
  }
  compare("counter", counters, reference.counters, differences);
  return agreement;
}

}  // namespace rxpool
