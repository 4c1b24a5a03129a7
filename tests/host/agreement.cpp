#include "tests/host/agreement.hpp"

#include <map>
#include <optional>
#include <set>

#include "models/host/host.hpp"
#include "models/result.hpp"
#include "sim/error.hpp"
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
  Agreement agreement;
  std::vector<std::string>& differences = agreement.differences;
  std::optional<ReplicationResult> simulated;
  try {
    simulated = run_replication(scenario, {});
  } catch (const InputError& error) {
    agreement.refused = error.what();
  }
  try {
    const reference::ReferenceResult reference = reference::run_reference(scenario);
    if (!agreement.refused.empty()) {
      differences.push_back("only the simulator refuses it: " + agreement.refused);
      return agreement;
    }
    agreement.packets = reference.packets.total;
    if (simulated->fingerprint != reference.fingerprint) differences.push_back("fingerprint");
    compare("packets", {{"total", simulated->packets.total}}, {{"total", reference.packets.total}}, differences);
    compare("packets", simulated->packets.places, reference.packets.places, differences);
    compare("pages", {{"total", simulated->pages.total}}, {{"total", reference.pages.total}}, differences);
    compare("pages", simulated->pages.places, reference.pages.places, differences);
    Counts counters;
    for (const MetricRow& row : simulated->metrics) {
      const std::string name = row.component + "." + row.metric;
      if (reference.counters.contains(name)) counters[name] = static_cast<std::uint64_t>(row.value);
    }
    compare("counter", counters, reference.counters, differences);
  } catch (const InputError& error) {
    if (agreement.refused.empty()) {
      differences.push_back(std::string("only the reference engine refuses it: ") + error.what());
    }
  }
  return agreement;
}

bool independent_of_window(const Scenario& scenario) {
  std::set<std::uint64_t> fingerprints;
  for (const Time window : {microseconds(1), microseconds(50), milliseconds(1)}) {
    Host host(scenario, 0);
    host.engine().set_window(window);
    fingerprints.insert(host.run({}).fingerprint);
  }
  return fingerprints.size() == 1;
}

}  // namespace rxpool
