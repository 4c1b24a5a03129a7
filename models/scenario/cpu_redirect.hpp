#pragma once
// The built-in program `redirect` when it sends packets to CPUs instead of a device: `policies.<nic>.params` with the
// names and defaults of the xdp-bench tool (redirect-cpu). One cpumap with an entry for each CPU (XD-30).

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/scenario/policy_params.hpp"

namespace rxpool::scenario {

/// Which CPU a packet goes to.
enum class CpuSpread : std::uint8_t { l4_hash, round_robin };
/// The program of the map's entries, run on the remote CPU.
enum class RemoteAction : std::uint8_t { disabled, pass, drop };

struct CpuRedirect {
  std::vector<std::string> cpus;  ///< in the order in which they are named
  std::uint32_t qsize = 2048;     ///< frames, each entry
  CpuSpread spread = CpuSpread::l4_hash;
  RemoteAction remote = RemoteAction::disabled;
};

/// Does this policy send to CPUs?
bool redirects_to_cpus(const PolicyParams& policy);
/// Called with the parameter's name and what is wrong with it; must throw.
using RefuseParam = std::function<void(const std::string& param, const std::string& problem)>;
/// Its parameters, syntax and ranges checked; whether the CPUs exist the caller knows.
CpuRedirect cpu_redirect(const PolicyParams& policy, const RefuseParam& refuse);
/// The same for a policy that was checked at load.
CpuRedirect cpu_redirect(const PolicyParams& policy);

}  // namespace rxpool::scenario
