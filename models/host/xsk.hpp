#pragma once
// The AF_XDP sockets of a host: each with its application on a CPU, bound to an RX queue.

#include <memory>
#include <string>
#include <vector>

#include "models/host/nic.hpp"
#include "models/xdp/xsk.hpp"
#include "models/xdp/xsk_application.hpp"
#include "sim/metrics.hpp"

namespace rxpool {

struct HostXsk {
  std::string name;  ///< component path
  const scenario::XskParams* params = nullptr;
  Core* core = nullptr;  ///< of the application
  std::unique_ptr<Xsk> xsk;
  std::unique_ptr<XskApplication> application;
};

std::vector<HostXsk> make_xsks(const Scenario& scenario, std::uint32_t replication,
                               const std::vector<std::unique_ptr<Core>>& cores, Journal& journal);
/// Policies get the sockets that their xskmaps may name.
void connect_xskmaps(const std::vector<HostXsk>& xsks, const std::vector<std::unique_ptr<HostNic>>& nics);
/// Is one bound to a queue of that NIC?
bool has_xsk(const std::vector<HostXsk>& xsks, const std::string& nic);
/// The one bound to that queue; null without one.
Xsk* xsk_of(const std::vector<HostXsk>& xsks, const std::string& nic, const std::string& queue);
/// Allocates the umem of each, in the order of their names. Throws InputError where memory does not suffice.
void populate(std::vector<HostXsk>& xsks, PageAllocator& allocator);
void register_xsk(MetricRegistry& registry, HostXsk& xsk, bool latency);
/// Identifies the thread of the n-th application where the scheduler has to break a tie.
std::uint32_t xsk_component_id(std::size_t number);

}  // namespace rxpool
