#include "tests/host/outcome.hpp"

#include <stdexcept>

#include "sim/error.hpp"

namespace rxpool {

double metric(const ReplicationResult& result, const std::string& component, const std::string& name) {
  for (const MetricRow& row : result.metrics) {
    if (row.component == component && row.metric == name) return row.value;
  }
  throw std::out_of_range("no metric " + component + "." + name);
}

std::uint64_t place(const Ledger& ledger, const std::string& name) {
  const auto found = ledger.places.find(name);
  return found == ledger.places.end() ? 0 : found->second;
}

std::string refusal(const std::function<void()>& attempt) {
  try {
    attempt();
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

}  // namespace rxpool
