#pragma once
// Who redirects where: the NICs of a host as devices with transmit queues and its CPUs as entries of cpumaps, connected
// to the hooks that name them.

#include <cstdint>
#include <string>
#include <vector>

#include "models/host/nic.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool {

/// NICs that the program of `nic` may redirect to; `program` is its policy, if it has one. Throws InputError for an
/// entry of a devmap that cannot be sent to.
std::vector<std::string> redirect_targets(const Scenario& scenario, const std::string& nic,
                                          const PolicyProgram* program);
/// CPUs that the program of `nic` may redirect to.
std::vector<std::string> redirect_cpus(const Scenario& scenario, const std::string& nic, const PolicyProgram* program);
/// Index of the channel whose queue that CPU transmits on. Drivers that have none for it (-ENXIO) are refused at load.
std::uint32_t xmit_channel(const scenario::NicParams& target, std::uint32_t cpu);

/// Gives every target its transmit queues and every hook its targets.
void connect_redirects(const Scenario& scenario, const PoliciesFacts& facts,
                       std::vector<std::unique_ptr<HostNic>>& nics, PagePools& pools, Journal& journal);
/// Gives every program that redirects to CPUs the entries of its cpumap, with their threads on these CPUs.
void connect_cpumaps(const Scenario& scenario, const PoliciesFacts& facts, std::vector<std::unique_ptr<HostNic>>& nics,
                     std::vector<std::unique_ptr<Core>>& cores, const RxEnvironment& environment);
/// The agent of a program that redirects to CPUs; null without one.
std::unique_ptr<CpuScaler> make_cpu_scaler(const Scenario& scenario, const std::string& nic);
/// Identifies the thread of an entry where the scheduler has to break a tie.
std::uint32_t cpumap_component_id(std::size_t nic, std::size_t entry);

}  // namespace rxpool
