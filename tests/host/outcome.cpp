#include "tests/host/outcome.hpp"

#include <catch2/catch.hpp>

namespace rxpool {

double metric(const ReplicationResult& result, const std::string& component, const std::string& name) {
  for (const MetricRow& row : result.metrics) {
    if (row.component == component && row.metric == name) return row.value;
  }
  FAIL("no metric " << component << "." << name);
  return 0;
}

std::uint64_t place(const Ledger& ledger, const std::string& name) {
  const auto found = ledger.places.find(name);
  return found == ledger.places.end() ? 0 : found->second;
}

}  // namespace rxpool
