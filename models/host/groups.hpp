#pragma once
// Which CPUs of a host can touch one another's state: the coupling groups of docs/architecture.md, as connected
// components of a graph over the CPUs.

#include <cstdint>
#include <string>
#include <vector>

#include "models/host/nic.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool {

/// Group of each CPU, in the order of their names; from 1, because group 0 is everybody's.
std::vector<std::uint32_t> coupling_groups(const Scenario& scenario, const PoliciesFacts& facts);
/// How many groups the CPUs belong to that send over this NIC's link.
std::size_t senders_in_groups(const Scenario& scenario, const std::string& nic, const PoliciesFacts& facts,
                              const std::vector<std::uint32_t>& groups);

}  // namespace rxpool
