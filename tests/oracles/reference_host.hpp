#pragma once
// The host of the reference engine: its parts, how they are connected, and what acts at instants of its own (memory
// users, kswapd, statistics, timed changes, control).

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "models/memory/background.hpp"
#include "models/memory/page_pools.hpp"
#include "tests/oracles/reference_control.hpp"
#include "tests/oracles/reference_engine.hpp"
#include "tests/oracles/reference_nic.hpp"

namespace rxpool::reference {

class ReferenceHost final : KswapdListener {
 public:
  ReferenceHost(const Scenario& scenario, std::uint32_t replication);
  ReferenceResult run();

 private:
  struct MemoryUser {
    std::unique_ptr<Background> background;
    std::uint8_t node;
    std::string name;
  };
  void build_memory();
  void add_user(const BackgroundParameters& params, std::uint64_t prefill);
  void build_cpus();
  void build_sockets(std::uint32_t replication);
  void connect_redirects();
  void connect_cpumaps();
  void plan_scaling(std::size_t nic);
  void connect_tcp();
  void bind_xsks(std::uint32_t replication);
  std::unique_ptr<Buffers> make_buffers_of(const Nic& nic, Queue& queue);
  void make_pmds();
  void power_on();
  void plan_memory();
  void plan_changes();
  void plan_control();
  void change(const std::string& path, const scenario::ParamValue& value);
  BuffersRequest buffers_request(const Nic& nic, const Queue& queue, std::uint8_t node) const;
  void restart(Nic& nic, Queue& queue);
  void plan_pool_release();
  void kswapd_woken(unsigned node, Time first_step) override;
  void background_step(std::size_t user);
  void vmstat();
  void let_arrive();
  Ledger packet_ledger() const;
  Ledger page_ledger();
  void count_queues(ReferenceResult& result) const;
  void count_maps_and_sockets(ReferenceResult& result) const;
  std::uint32_t rank(const std::string& component) const;
  Cpu& cpu(const std::string& name);
  MemoryContext elsewhere(std::uint8_t node, Time now) const;

  const Scenario& scenario_;
  std::uint32_t replication_;
  Calibration calibration_;
  std::array<IdleState, 3> idle_table_;
  EventQueue events_;
  Journal journal_;
  std::vector<std::string> components_;
  std::unique_ptr<PageAllocator> allocator_;
  std::unique_ptr<PagePools> pools_;
  std::vector<MemoryUser> users_;
  std::map<unsigned, EventQueue::Key> kswapd_plans_;
  std::vector<std::unique_ptr<Cpu>> cpus_;
  Frees frees_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::vector<std::unique_ptr<Reader>> readers_;
  Stack stack_;
  TcpMemory tcp_memory_;
  UdpMemory udp_memory_;
  std::map<std::string, MemoryCgroup> cgroups_;
  std::vector<std::unique_ptr<Nic>> nics_;
  std::vector<std::unique_ptr<Xsk>> xsks_;
  std::vector<std::unique_ptr<Pmd>> pmds_;
  std::unique_ptr<ControlLoop> control_;
  std::unique_ptr<ControlProcess> control_process_;
  std::set<Time> change_times_;
  EventQueue::Key pool_release_{};
  bool pool_release_planned_ = false;
  Time end_;
};

}  // namespace rxpool::reference
