#pragma once
// Looking up what a run reports: a metric, a place of a ledger, why a scenario is refused.

#include <cstdint>
#include <functional>
#include <string>

#include "models/result.hpp"

namespace rxpool {

/// Throws std::out_of_range when no component reports it.
double metric(const ReplicationResult& result, const std::string& component, const std::string& name);
/// Zero for a place that the ledger does not have.
std::uint64_t place(const Ledger& ledger, const std::string& name);

/// What loading or building is refused for; empty when it is not.
std::string refusal(const std::function<void()>& attempt);

}  // namespace rxpool
