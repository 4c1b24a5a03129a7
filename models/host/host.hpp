#pragma once
// The host of a scenario, wired and ready to run:
//
//   sources -> wire -> port -> RX rings -> RxQueue (NAPI on a core) -> XDP -> stack -> sockets -> readers on cores
//                                  |  pages: RxBuffers <-> page_pool <-> per-CPU lists <-> zone <-> kswapd, background
//
// Built once from a Scenario, runs one replication, reports. Everything it owns lives in plain members; nothing is
// global, so two hosts can run in two threads.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/calibration/calibration.hpp"
#include "models/cpu/core.hpp"
#include "models/host/control_thread.hpp"
#include "models/host/nic.hpp"
#include "models/host/pmd.hpp"
#include "models/host/xsk.hpp"
#include "models/journal.hpp"
#include "models/memory/background.hpp"
#include "models/memory/llc.hpp"
#include "models/memory/page_allocator.hpp"
#include "models/memory/page_pools.hpp"
#include "models/result.hpp"
#include "models/scenario/scenario.hpp"
#include "models/stack/skb.hpp"
#include "models/stack/skb_free.hpp"
#include "models/stack/socket_reader.hpp"
#include "models/stack/stack.hpp"
#include "models/stack/tcp_socket.hpp"
#include "models/stack/udp_socket.hpp"
#include "sim/engine.hpp"
#include "sim/metrics.hpp"

namespace rxpool {

struct HostSocket {
  std::string name;  ///< component path
  std::unique_ptr<Socket> socket;
  TcpSocket* tcp = nullptr;  ///< the same one, if it is TCP
  std::unique_ptr<SocketReader> reader;
};

/// Something that acts at instants of its own, outside any CPU: an Event and what it does.
class Actor {
 public:
  virtual ~Actor() = default;
  virtual void act(Time now) = 0;
  static void fire(void* actor, Time now) { static_cast<Actor*>(actor)->act(now); }
  Event event;
};

class ControlLoop;
class QueueRestarts;

class Host final : private KswapdListener {
 public:
  Host(const Scenario& scenario, std::uint32_t replication);
  Host(Scenario&&, std::uint32_t) = delete;  // it is read for as long as the host runs
  Host(const Host&) = delete;
  ~Host() override;

  ReplicationResult run(const RunOptions& options);

  // What timed changes and reports work on.
  const Scenario& scenario() const { return scenario_; }
  Engine& engine() { return engine_; }
  std::vector<std::unique_ptr<Core>>& cores() { return cores_; }
  std::vector<std::unique_ptr<HostNic>>& nics() { return nics_; }
  std::vector<HostSocket>& sockets() { return sockets_; }
  std::vector<HostXsk>& xsks() { return xsks_; }
  std::vector<HostPmd>& pmds() { return pmds_; }
  std::vector<std::unique_ptr<Background>>& backgrounds() { return backgrounds_; }
  PageAllocator& allocator() { return *allocator_; }
  PagePools& pools() { return *pools_; }
  /// Of what runs on none of the scenario's CPUs: kswapd, other users of memory, a driver that opens its queues.
  MemoryContext context_of_others(Time now, unsigned node) const;
  QueueRestarts& restarts() { return *restarts_; }
  SkbSlab& slab() { return *slab_; }
  SkbFree& skb_free() { return *skb_free_; }
  const Stack& stack() const { return *stack_; }
  Journal& journal() { return journal_; }
  MetricRegistry& registry() { return registry_; }
  void keep_packets_at_cut(Ledger ledger) { packets_at_cut_ = std::move(ledger); }
  Core& core(const std::string& cpu_name);
  std::vector<std::string>& warnings() { return warnings_; }
  ControlLoop* control() { return control_.get(); }
  /// Null when the loop runs on none of the host's CPUs.
  const ControlThread* control_thread() const { return control_thread_.get(); }
  const UdpMemory& udp_memory() const { return udp_memory_; }
  std::map<std::string, MemoryCgroup>& cgroups() { return cgroups_; }

 private:
  void build_memory();
  void build_cores();
  void build_sockets(std::uint32_t replication);
  /// Connections of all TCP sources with the sockets on their ports.
  void connect_tcp();
  void build_nics(std::uint32_t replication);
  void build_actors();
  /// Each queue its memory model, pages in its ring and a CPU for its interrupt.
  void fill_rings();
  void power_on();
  void kswapd_woken(unsigned node, Time first_step) override;

  const Scenario& scenario_;
  Calibration calibration_;
  std::array<IdleState, 3> idle_table_;
  PoliciesFacts facts_;
  std::vector<std::uint32_t> groups_;  ///< of the CPUs, in the order of their names
  Engine engine_;
  Journal journal_;
  MetricRegistry registry_;
  Ledger packets_at_cut_;
  std::unique_ptr<PageAllocator> allocator_;
  std::unique_ptr<PagePools> pools_;
  std::vector<std::unique_ptr<Background>> backgrounds_;
  std::vector<std::uint8_t> background_nodes_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::unique_ptr<SkbSlab> slab_;
  std::unique_ptr<SkbFree> skb_free_;
  std::unique_ptr<Stack> stack_;
  TcpMemory tcp_memory_;
  UdpMemory udp_memory_;
  std::map<std::string, MemoryCgroup> cgroups_;
  std::vector<HostSocket> sockets_;
  std::vector<std::unique_ptr<HostNic>> nics_;
  std::vector<HostXsk> xsks_;
  std::vector<HostPmd> pmds_;
  std::vector<std::unique_ptr<Actor>> actors_;
  std::vector<Actor*> kswapd_actors_;                   ///< by node
  std::vector<std::pair<Actor*, Time>> scaler_actors_;  ///< and when they look first
  std::unique_ptr<QueueRestarts> restarts_;
  std::unique_ptr<ControlLoop> control_;  ///< null when nothing asks for one
  Actor* control_actor_ = nullptr;
  std::unique_ptr<ControlThread> control_thread_;
  std::vector<std::string> warnings_;
};

}  // namespace rxpool
