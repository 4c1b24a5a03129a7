#pragma once
// Who redirects where: the NICs of a host as devices with transmit queues, connected to the hooks that name them.

#include <cstdint>
#include <string>
#include <vector>

#include "models/host_nic.hpp"
#include "models/scenario.hpp"

namespace rxpool {

/// NICs that the program of `nic` may redirect to.
std::vector<std::string> redirect_targets(const Scenario& scenario, const std::string& nic);
/// Index of the channel whose queue that CPU transmits on. Drivers that have none for it (-ENXIO) are refused at load.
std::uint32_t xmit_channel(const scenario::NicParams& target, std::uint32_t cpu);

/// Gives every target its transmit queues and every hook its target.
void connect_redirects(const Scenario& scenario, std::vector<std::unique_ptr<HostNic>>& nics, PagePools& pools,
                       Journal& journal);

}  // namespace rxpool
