#pragma once
// What xdp_do_redirect, or attaching the program, would be refused for where one NIC redirects to another (XD-51,
// XD-52).

#include <string>

#include "models/scenario/scenario.hpp"

namespace rxpool::scenario {

/// The kernel's error name, the reason and a remedy; empty: the target takes frames of this NIC's CPUs.
std::string redirect_refusal(const Scenario& scenario, const std::string& nic, const std::string& target);

}  // namespace rxpool::scenario
