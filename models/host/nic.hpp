#pragma once
// One NIC of a host with everything behind its port: sources, wire, steering, queues, hook, netfilter rules.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/calibration/calibration.hpp"
#include "models/control/cpu_scaler.hpp"
#include "models/memory/llc.hpp"
#include "models/memory/page_pools.hpp"
#include "models/nic/driver_profile.hpp"
#include "models/nic/port.hpp"
#include "models/nic/rx_queue.hpp"
#include "models/nic/tx_link.hpp"
#include "models/nic/tx_queue.hpp"
#include "models/scenario/scenario.hpp"
#include "models/traffic/source.hpp"
#include "models/traffic/tcp/source.hpp"
#include "models/xdp/cpumap.hpp"
#include "models/xdp/cpumap_spread.hpp"
#include "models/xdp/function_program.hpp"
#include "models/xdp/policy_program.hpp"
#include "sim/engine.hpp"

namespace rxpool {

class Host;

/// What a queue had before it was restarted: skbs may still hold pages that come home there.
struct RetiredPool {
  std::unique_ptr<RxBuffers> buffers;
  std::uint16_t pool = 0;  ///< id
};

struct HostQueue {
  std::unique_ptr<RxQueue> queue;
  PagePool* pool = nullptr;  ///< null for drivers without one
  std::vector<RetiredPool> retired;
  std::unique_ptr<TxQueue> xdp_tx;  ///< null unless a program may say XDP_TX
  std::unique_ptr<TxQueue> xmit;    ///< null unless others redirect to the NIC
};

struct HostNic {
  std::string name;       ///< as in the scenario
  std::string component;  ///< nics.<name>
  const scenario::NicParams* params = nullptr;
  std::vector<std::unique_ptr<Source>> sources;  ///< in the order of their indices on this NIC
  std::vector<std::string> source_names;
  std::vector<TcpSource*> responsive;  ///< those of `sources` that wait for acknowledgements
  std::unique_ptr<Llc> llc;
  XdpHook hook;
  std::unique_ptr<PolicyProgram> program;     ///< null without a policy object
  std::unique_ptr<FunctionProgram> function;  ///< a policy that the caller gave as a function
  NetfilterParams netfilter;
  std::unique_ptr<Port> port;
  std::unique_ptr<TxLink> tx_link;
  std::vector<const XdpDevice*> targets;             ///< NICs that its program may send to
  XdpDevice device;                                  ///< as the target of redirects
  std::vector<std::unique_ptr<CpumapEntry>> cpumap;  ///< of its program, in the order of the entries
  std::unique_ptr<CpumapSpread> spread;              ///< of the built-in program over these
  std::unique_ptr<CpuScaler> scaler;                 ///< of these CPUs; null without an agent
  Gauge cpus_in_use;
  std::vector<HostQueue> queues;
};

/// What has to be known of a NIC's policy before the host is built.
struct PolicyFacts {
  bool shares_state = false;                  ///< the CPUs of the NIC's queues meet in a map
  std::vector<std::string> redirect_targets;  ///< NICs that it may send to
  std::vector<std::string> redirect_cpus;     ///< CPUs that it may send to
};
using PoliciesFacts = std::map<std::string, PolicyFacts>;  // by NIC
/// Throws InputError for entries of devmaps that the kernel, or the first packet, would be refused for.
PoliciesFacts policies_facts(const Scenario& scenario, const Calibration& calibration);
/// The ifindex of each NIC: by name, from 2.
Interfaces interfaces(const Scenario& scenario);
/// Sources, wire, port and policy; queues without memory yet.
std::unique_ptr<HostNic> make_host_nic(const std::string& name, const Scenario& scenario, std::uint32_t replication,
                                       const Calibration& calibration, Engine& engine, std::uint64_t page_count,
                                       const RxEnvironment& environment, PagePools& pools, Journal& journal);
/// What the driver asks of memory for a queue whose CPU is on `node`; `queue` is its key in the scenario.
RxBuffersRequest buffers_request(const Scenario& scenario, const HostNic& nic, const std::string& queue,
                                 const RxQueue& owner, std::uint8_t node);
/// `pool_size` of a queue with a ring of another size: the driver's own choice follows the ring.
std::uint32_t pool_size_with(const scenario::NicParams& nic, const scenario::QueueParams& queue, std::uint32_t rx_ring);
/// Is the queue (a component) restarted by an event (DR-40)?
bool is_restarted(const Scenario& scenario, const std::string& queue);
std::uint32_t link_mbps(const scenario::NicParams& nic);
/// The built-in program of that name; a policy object is looked up by whoever loads policies.
XdpHook::Kind hook_kind(const std::string& program);
/// Does this NIC ever have a program, at the start or by a timed change?
bool ever_has_program(const Scenario& scenario, const std::string& nic);
/// Can a program of this NIC send packets on, at any time?
bool can_transmit(const Scenario& scenario, const std::string& nic);
/// Can a packet of this NIC reach the stack at any time?
bool can_reach_stack(const Scenario& scenario, const std::string& nic);
std::vector<std::uint16_t> indirection_table(const scenario::NicParams& nic);

}  // namespace rxpool
