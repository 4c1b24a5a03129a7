#include "tests/oracles/reference_engine.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <vector>

#include "models/host/nic.hpp"
#include "models/host/prices.hpp"
#include "models/host/redirect.hpp"
#include "models/host/socket_memory.hpp"
#include "models/host/tcp.hpp"
#include "models/host/xsk.hpp"
#include "models/memory/background.hpp"
#include "models/memory/page_pools.hpp"
#include "models/nic/driver_profile.hpp"
#include "models/scenario/overrides.hpp"
#include "sim/error.hpp"
#include "tests/oracles/reference_control.hpp"
#include "tests/oracles/reference_nic.hpp"

namespace rxpool::reference {
namespace {

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
  void power_on();
  void plan_memory();
  void plan_changes();
  void plan_control();
  void change(const std::string& path, const scenario::ParamValue& value);
  void kswapd_woken(unsigned node, Time first_step) override;
  void background_step(std::size_t user);
  void vmstat();
  void let_arrive();
  Ledger packet_ledger() const;
  Ledger page_ledger();
  std::uint32_t rank(const std::string& component) const;
  Cpu& cpu(const std::string& name);
  MemoryContext elsewhere(std::uint8_t node, Time now) const;

  const Scenario& scenario_;
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
  std::unique_ptr<ControlLoop> control_;
  std::unique_ptr<ControlProcess> control_process_;
  std::set<Time> change_times_;
  Time end_;
};

ReferenceHost::ReferenceHost(const Scenario& scenario, std::uint32_t replication)
    : scenario_(scenario),
      calibration_(host_calibration(scenario, replication)),
      idle_table_(idle_table(calibration_)),
      frees_(scenario.kernel.skb_defer_max),
      stack_(sockets_, journal_),
      end_(time_from_ms(scenario.warmup_ms) + time_from_ms(scenario.duration_ms)) {
  build_memory();
  for (const auto& [name, params] : scenario.cpus) components_.push_back("cpus." + name);
  for (unsigned node = 0; node < allocator_->node_count(); ++node) {
    components_.push_back("memory.kswapd" + std::to_string(node));
  }
  for (const MemoryUser& user : users_) components_.push_back(user.name);
  components_.push_back("memory.vmstat");
  for (const auto& [name, params] : scenario.events) components_.push_back("events." + name);
  if (scenario.control.active()) components_.push_back("control");
  for (const auto& [name, params] : scenario.policies) components_.push_back("policies." + name + ".scaling");
  std::sort(components_.begin(), components_.end());
  build_cpus();
  build_sockets(replication);
  for (const auto& [name, params] : scenario.nics) {
    nics_.push_back(std::make_unique<Nic>(name, static_cast<std::uint32_t>(nics_.size()), scenario, replication,
                                          calibration_, events_, allocator_->pages().page_count(), journal_, stack_));
  }
  connect_redirects();
  connect_cpumaps();
  connect_tcp();
  bind_xsks(replication);
  power_on();
}

void ReferenceHost::connect_tcp() {
  tcp_memory_ = tcp_memory(scenario_.kernel, nr_free_buffer_pages(*allocator_));
  std::size_t i = 0;
  for (const auto& [name, params] : scenario_.sockets) {
    Socket& socket = *sockets_[i++];
    if (!socket.tcp) continue;
    for (const auto& nic : nics_) {
      for (TcpSource* source : nic->responsive) {
        for (TcpConnectionParams connection : connections_of(scenario_, params, *source)) {
          connection.cgroup = socket.cgroup;
          socket.connections.emplace(connection.number,
                                     Socket::Endpoint{TcpConnection(connection, tcp_memory_), source});
        }
      }
    }
  }
}

/// Each AF_XDP socket its umem and its queue.
void ReferenceHost::bind_xsks(std::uint32_t replication) {
  for (const auto& [name, params] : scenario_.xsks) {
    const std::string component = "xsks." + name;
    xsks_.push_back(std::make_unique<Xsk>(component, params,
                                          RandomStream(scenario_.seed, replication, component + ".service"), journal_));
    Xsk& xsk = *xsks_.back();
    xsk.component_id = xsk_component_id(xsks_.size() - 1);
    MemoryContext context = cpu(params.cpu).context_now(false);
    if (!xsk.populate(context, *allocator_)) throw InputError("too little memory for the umem");
    for (const auto& nic : nics_) {
      for (const auto& queue : nic->queues) {
        if (queue->name != "nics." + params.nic + ".rx_queues." + params.queue) continue;
        queue->xsk = &xsk;
        xsk.wake_driver = [&queue = *queue](Cpu& by) { queue.wake_up(by); };
      }
    }
  }
}

/// Rings of the targets; each program its target.
void ReferenceHost::connect_redirects() {
  for (const auto& nic : nics_) {
    if (nic->program != "redirect" || scenario::redirects_to_cpus(scenario_.policies.at(nic->name))) continue;
    const std::string& to = std::get<std::string>(scenario_.policies.at(nic->name).params.at("to"));
    Nic& target = **std::find_if(nics_.begin(), nics_.end(), [&](const auto& n) { return n->name == to; });
    nic->target = &target.device;
    if (!target.device.rings.empty()) continue;
    target.device.mtu = target.params.mtu;
    target.device.shared = scenario::xdp_features(target.params.driver).shares_queues;
    const bool locked = target.device.shared && cpus_.size() > target.queues.size();
    for (const auto& queue : target.queues) {
      queue->take_redirected(*pools_, locked, microseconds(target.params.tx_usecs));
      target.device.rings.push_back(&queue->xmit);
    }
  }
}

/// An entry with its thread for each CPU that a program names.
void ReferenceHost::connect_cpumaps() {
  for (std::size_t number = 0; number < nics_.size(); ++number) {
    Nic& nic = *nics_[number];
    if (nic.program != "redirect" || nic.target != nullptr) continue;
    const scenario::CpuRedirect redirect = scenario::cpu_redirect(scenario_.policies.at(nic.name));
    nic.round_robin = redirect.spread == scenario::CpuSpread::round_robin;
    nic.next_entry.resize(cpus_.size());
    nic.entries_in_use = redirect.cpus.size();
    for (const std::string& remote : redirect.cpus) {
      nic.cpumap.push_back(std::make_unique<CpumapEntry>("policies." + nic.name + ".cpu_map." + remote, redirect,
                                                         scenario_, nic.params, stack_, journal_));
      nic.cpumap.back()->component_id = cpumap_component_id(number, nic.cpumap.size() - 1);
      cpu(remote).add(*nic.cpumap.back());
    }
  }
}

/// The agent that takes and rests CPUs of a redirect, from its first look on.
void ReferenceHost::plan_scaling(std::size_t number) {
  struct Agent {
    std::unique_ptr<CpuScaler> scaler;
    std::vector<Time> busy;
    std::uint64_t drops = 0;
  };
  Nic& nic = *nics_[number];
  auto agent = std::make_shared<Agent>();
  agent->scaler = nic.cpumap.empty() ? nullptr : make_cpu_scaler(scenario_, nic.name);
  if (agent->scaler == nullptr) return;
  agent->busy.resize(nic.cpumap.size());
  nic.entries_in_use = agent->scaler->in_use();
  const std::uint32_t component = rank("policies." + nic.name + ".scaling");
  auto look = std::make_shared<std::function<void()>>();
  *look = [this, agent, &nic, component, look] {
    Time busy{0};
    std::uint64_t drops = 0;
    for (std::size_t i = 0; i < nic.cpumap.size(); ++i) {
      drops += nic.cpumap[i]->drops;
      const Time so_far = nic.cpumap[i]->home->busy;
      if (i < nic.entries_in_use) busy += so_far - agent->busy[i];
      agent->busy[i] = so_far;
    }
    nic.entries_in_use = agent->scaler->look(busy, drops - agent->drops);
    agent->drops = drops;
    events_.at(events_.now() + agent->scaler->params().period, EventClass::control, component, *look);
  };
  events_.at(agent->scaler->params().period, EventClass::control, component, *look);
}

std::uint32_t ReferenceHost::rank(const std::string& component) const {
  return static_cast<std::uint32_t>(std::lower_bound(components_.begin(), components_.end(), component) -
                                    components_.begin());
}

Cpu& ReferenceHost::cpu(const std::string& name) {
  for (const auto& candidate : cpus_) {
    if (candidate->name() == "cpus." + name) return *candidate;
  }
  throw BugError("reference: no such CPU");
}

void ReferenceHost::build_memory() {
  const scenario::MemoryParams& memory = scenario_.memory;
  MemoryParameters params;
  params.release = scenario_.kernel.release;
  params.min_free_kbytes = scenario_.kernel.min_free_kbytes;
  params.watermark_scale_factor = scenario_.kernel.watermark_scale_factor;
  params.percpu_pagelist_high_fraction = scenario_.kernel.percpu_pagelist_high_fraction;
  params.kswapd.wake_latency = time_from_us(memory.kswapd.wake_latency_us);
  params.kswapd.time_per_page =
      memory.kswapd.pages_per_ms > 0 ? Time{std::llround(1e9 / memory.kswapd.pages_per_ms)} : Time::never();
  for (const auto& [name, cpu] : scenario_.cpus) params.cpu_node.push_back(static_cast<std::uint8_t>(cpu.node));
  for (std::uint32_t node = 0; node < memory.nodes; ++node) {
    params.nodes.push_back({{{ZoneKind::normal, std::uint64_t{memory.total_mib} << 20}}});
    params.cpu_node.push_back(static_cast<std::uint8_t>(node));  // of kswapd and the other users of memory
  }
  allocator_ = std::make_unique<PageAllocator>(params, memory_prices(calibration_));
  allocator_->set_kswapd_listener(this);
  pools_ = std::make_unique<PagePools>(*allocator_);

  if (memory.free_mib != 0 && memory.free_mib < memory.total_mib) {
    for (std::uint32_t node = 0; node < memory.nodes; ++node) {
      BackgroundParameters others;
      others.node = static_cast<std::uint8_t>(node);
      others.reclaimable = false;
      add_user(others, std::uint64_t{memory.total_mib - memory.free_mib} << (20 - page_shift));
    }
  }
  for (const auto& [name, user] : memory.background) {
    BackgroundParameters takes;
    takes.node = static_cast<std::uint8_t>(user.node);
    takes.start = time_from_ms(user.start_ms);
    takes.stop = user.stop_ms > 0 ? time_from_ms(user.stop_ms) : Time::never();
    takes.time_per_page = user.pages_per_ms > 0 ? Time{std::llround(1e9 / user.pages_per_ms)} : Time::never();
    takes.hold = user.hold_ms > 0 ? time_from_ms(user.hold_ms) : Time::never();
    if (user.limit_mib > 0) takes.limit_pages = static_cast<std::uint64_t>(user.limit_mib * 256);
    takes.reclaimable = user.reclaimable;
    takes.blocking = user.blocking;
    add_user(takes, 0);
  }
}

void ReferenceHost::add_user(const BackgroundParameters& params, std::uint64_t prefill) {
  users_.push_back({std::make_unique<Background>(*allocator_, params), params.node,
                    "memory.background" + std::to_string(users_.size())});
  if (prefill != 0) users_.back().background->prefill(prefill);
}

void ReferenceHost::build_cpus() {
  for (const auto& [name, params] : scenario_.cpus) {
    CpuSettings settings;
    settings.name = "cpus." + name;
    settings.component = rank(settings.name);
    settings.number = static_cast<std::uint16_t>(cpus_.size());
    settings.node = static_cast<std::uint8_t>(params.node);
    settings.budget = scenario_.kernel.netdev_budget;
    settings.budget_usecs = scenario_.kernel.netdev_budget_usecs;
    settings.hz = scenario_.kernel.hz;
    settings.scheduler.release =
        std::to_string(scenario_.kernel.release.major) + "." + std::to_string(scenario_.kernel.release.minor);
    settings.scheduler.hz = static_cast<int>(scenario_.kernel.hz);
    settings.scheduler.cpus = static_cast<int>(scenario_.cpus.size());
    settings.idle = idle_params(idle_table_, params.idle_states, static_cast<int>(scenario_.kernel.hz));
    cpus_.push_back(std::make_unique<Cpu>(settings, calibration_, events_));
    frees_.add(*cpus_.back());
  }
}

void ReferenceHost::build_sockets(std::uint32_t replication) {
  udp_memory_ = udp_memory(scenario_.kernel, nr_free_buffer_pages(*allocator_));
  cgroups_ = memory_cgroups(scenario_.memory);
  std::uint32_t number = 0;
  for (const auto& [name, params] : scenario_.sockets) {
    auto socket = std::make_unique<Socket>();
    socket->name = "sockets." + name;
    socket->port = params.port;
    socket->tcp = params.protocol == scenario::SocketProtocol::tcp;
    socket->rcvbuf =
        params.rcvbuf == 0 ? scenario_.kernel.rmem_default : 2 * std::min(params.rcvbuf, scenario_.kernel.rmem_max);
    socket->counts_new_packet = scenario_.kernel.at_least(6, 15);
    socket->memory = &udp_memory_;
    socket->cgroup = cgroup_of(cgroups_, params.cgroup);
    readers_.push_back(std::make_unique<Reader>(params.reader,
                                                RandomStream(scenario_.seed, replication, socket->name + ".service"),
                                                *socket, frees_, journal_));
    if (const auto leak = scenario_.faults.leaks.find(name); leak != scenario_.faults.leaks.end()) {
      readers_.back()->leak = leak->second;
      readers_.back()->leak_draws.emplace(scenario_.seed, replication, socket->name + ".leak");
    }
    readers_.back()->component_id = ++number;
    readers_.back()->name = socket->name;
    socket->reader = readers_.back().get();
    sockets_.push_back(std::move(socket));
  }
}

void ReferenceHost::power_on() {
  for (const auto& nic : nics_) {
    for (const auto& queue : nic->queues) {
      Cpu& on = cpu(queue->params.cpu);
      BuffersRequest request;
      request.driver = nic->params.driver;
      request.pool_size = queue->params.pool_size;
      request.node = on.node();
      request.xdp = ever_has_program(scenario_, nic->name);
      request.list_owner = &queue->list_owner;
      if (queue->xsk != nullptr && queue->xsk->params.zero_copy) {
        auto umem = std::make_unique<UmemPages>(*queue->xsk, queue->ring, *allocator_);
        queue->umem = umem.get();
        queue->buffers = std::move(umem);
      } else {
        queue->buffers = make_buffers(request, queue->ring, *pools_, *allocator_);
      }
      MemoryContext context = on.context_now(true);
      if (!queue->buffers->fill(context)) throw InputError("too little memory to fill the ring");
      queue->set_affinity(on);
      if (queue->params.napi_threaded) {
        queue->make_threaded(queue->params.thread_cpu.empty() ? on : cpu(queue->params.thread_cpu));
      }
    }
  }
  std::size_t i = 0;
  for (const auto& [name, params] : scenario_.sockets) readers_[i++]->start(cpu(params.cpu));
  for (const auto& xsk : xsks_) xsk->start(cpu(xsk->params.cpu));
  if (scenario_.control.active() && !scenario_.control.cpu.empty()) {
    std::size_t queues = 0;
    for (const auto& nic : nics_) queues += nic->queues.size();
    const Time look = time_from_ns(scenario_.control.look_ns * static_cast<double>(queues));
    control_process_ = std::make_unique<ControlProcess>(time_from_us(scenario_.control.period_us), look);
    control_process_->component_id = static_cast<std::uint32_t>(sockets_.size()) + 1;
    control_process_->name = "control";
    control_process_->start(cpu(scenario_.control.cpu));
  }
  for (const auto& on : cpus_) on->power_on();
  plan_memory();
  for (std::size_t number = 0; number < nics_.size(); ++number) plan_scaling(number);
  plan_changes();
  control_ = make_control_loop(scenario_, nics_, cpus_, *allocator_);
  plan_control();
  let_arrive();
}

/// Frames up to the next timed change: what comes after it, the change decides.
void ReferenceHost::let_arrive() {
  const auto next = change_times_.lower_bound(events_.now() + picoseconds(1));
  const Time until = next == change_times_.end() ? end_ : std::min(*next, end_);
  for (const auto& nic : nics_) nic->arrivals_until(until);
}

// ---- Memory.

MemoryContext ReferenceHost::elsewhere(std::uint8_t node, Time now) const {
  MemoryContext context;
  context.cpu = static_cast<std::uint16_t>(cpus_.size() + node);
  context.node = node;
  context.now = now;
  return context;
}

void ReferenceHost::plan_memory() {
  for (std::size_t i = 0; i < users_.size(); ++i) background_step(i);
  events_.at(milliseconds(scenario_.kernel.stat_interval_ms), EventClass::control, rank("memory.vmstat"),
             [this] { vmstat(); });
}

void ReferenceHost::background_step(std::size_t i) {
  const Time next = users_[i].background->next_step();
  if (next == Time::never()) return;
  events_.at(next, EventClass::application, rank(users_[i].name), [this, i] {
    MemoryContext context = elsewhere(users_[i].node, events_.now());
    users_[i].background->step(context);
    background_step(i);
  });
}

void ReferenceHost::kswapd_woken(unsigned node, Time first_step) {
  if (kswapd_plans_.contains(node)) events_.cancel(kswapd_plans_[node]);
  if (first_step == Time::never()) return;
  kswapd_plans_[node] =
      events_.at(first_step, EventClass::thread, rank("memory.kswapd" + std::to_string(node)), [this, node] {
        MemoryContext context = elsewhere(static_cast<std::uint8_t>(node), events_.now());
        allocator_->kswapd(node).step(context);
        kswapd_woken(node, allocator_->kswapd(node).next_step());
      });
}

void ReferenceHost::vmstat() {
  for (const auto& on : cpus_) {
    MemoryContext context = on->context_now(false);
    context.now = events_.now();
    allocator_->vmstat_tick(context);
  }
  for (std::uint32_t node = 0; node < scenario_.memory.nodes; ++node) {
    MemoryContext context = elsewhere(static_cast<std::uint8_t>(node), events_.now());
    allocator_->vmstat_tick(context);
  }
  events_.at(events_.now() + milliseconds(scenario_.kernel.stat_interval_ms), EventClass::control,
             rank("memory.vmstat"), [this] { vmstat(); });
}

// ---- Control.

void ReferenceHost::plan_control() {
  if (control_ == nullptr) return;
  events_.at(control_->next(), EventClass::control, rank("control"), [this] {
    const Time now = events_.now();
    control_->act(now, [this, now](unsigned node) { return elsewhere(static_cast<std::uint8_t>(node), now); });
    plan_control();
  });
}

// ---- Timed changes.

void ReferenceHost::plan_changes() {
  for (const auto& [name, event] : scenario_.events) {
    const Time at = time_from_ms(event.at_ms);
    change_times_.insert(at);
    events_.at(at, EventClass::control, rank("events." + name), [this, &event] {
      for (const auto& [path, value] : event.set) change(path, value);
      let_arrive();
    });
  }
}

void ReferenceHost::change(const std::string& path, const scenario::ParamValue& value) {
  const std::vector<std::string> part = scenario::split_path(path);
  const Time now = events_.now();
  const auto nic = [&](const std::string& name) -> Nic& {
    return **std::find_if(nics_.begin(), nics_.end(), [&](const auto& n) { return n->name == name; });
  };
  const auto mbps = [](double gbps) { return static_cast<std::uint32_t>(gbps * 1000 + 0.5); };
  if (part[0] == "nics" && part.back() == "cpu") {
    for (const auto& queue : nic(part[1]).queues) {
      if (queue->name == "nics." + part[1] + ".rx_queues." + part[3]) {
        queue->set_affinity(cpu(std::get<std::string>(value)));
      }
    }
  } else if (part[0] == "nics" && part[2] == "link_gbps") {
    nic(part[1]).wire->set_link(now, mbps(std::get<double>(value)));
    nic(part[1]).tx_link.mbps = mbps(std::get<double>(value));
  } else if (part[0] == "nics" && part[2] == "link_up") {
    nic(part[1]).wire->set_link(now, std::get<bool>(value) ? mbps(nic(part[1]).params.link_gbps) : 0);
    nic(part[1]).tx_link.mbps = std::get<bool>(value) ? mbps(nic(part[1]).params.link_gbps) : 0;
  } else if (part[0] == "policies") {
    nic(part[1]).program = std::get<std::string>(value);
  } else if (part[0] == "sockets") {
    for (const auto& socket : sockets_) {
      if (socket->name == "sockets." + part[1]) socket->reader->set_paused(std::get<bool>(value), now);
    }
  } else if (part[0] == "xsks") {
    for (const auto& xsk : xsks_) {
      if (xsk->name == "xsks." + part[1]) xsk->set_paused(std::get<bool>(value), now);
    }
  } else if (part[0] == "traffic") {
    for (const auto& n : nics_) {
      for (std::size_t i = 0; i < n->source_names.size(); ++i) {
        if (n->source_names[i] != part[1]) continue;
        const double initial = scenario_.traffic.at(part[1]).source.arrivals.rate_pps;
        n->wire->set_rate_factor(static_cast<std::uint16_t>(i), now, std::get<double>(value) / initial);
      }
    }
  } else {
    throw BugError("reference: cannot change " + path);
  }
}

// ---- Result.

Ledger ReferenceHost::packet_ledger() const {
  Ledger ledger;
  for (const auto& nic : nics_) {
    ledger.total += nic->rx_packets_phy;
    std::uint64_t lost = 0;
    std::uint64_t flying = nic->waiting();
    for (const auto& queue : nic->queues) {
      flying += queue->ring.completions.size() + queue->ring.transfers;
      lost += queue->out_of_buffer;
      ledger.places["in_flight.stack"] += queue->normal_list.size();
      ledger.places["in_flight." + queue->xdp_tx.name] += queue->xdp_tx.not_left();
      ledger.places["in_flight." + queue->xmit.name] += queue->xmit.not_left();
      ledger.places["in_flight." + queue->name + ".bulk_queue"] +=
          queue->redirect.frames.size() + queue->cpumap_bulks.held().size();
    }
    for (const auto& entry : nic->cpumap) ledger.places["in_flight." + entry->name] = entry->held().size();
    ledger.places["in_flight.nics." + nic->name] = flying;
    ledger.places["dropped." + std::string(driver_profile(nic->params.driver).no_descriptor)] += lost;
  }
  for (const auto& socket : sockets_) {
    ledger.places["in_flight." + socket->name] = socket->queue.size() + socket->waiting.size();
  }
  for (const auto& xsk : xsks_) ledger.places["in_flight." + xsk->name] = xsk->received_waiting() + xsk->in_hand();
  for (std::size_t i = 0; i < fate_names.size(); ++i) {
    const auto fate = static_cast<Fate>(i);
    const std::uint64_t count = journal_.count(fate);
    if (fate == Fate::delivered || fate == Fate::transmitted) {
      ledger.places[std::string(fate_names[i])] = count;
    } else if (fate != Fate::rx_out_of_buffer && count != 0) {
      ledger.places["dropped." + std::string(fate_names[i])] += count;
    }
  }
  return ledger;
}

Ledger ReferenceHost::page_ledger() {
  Ledger ledger;
  ledger.total = allocator_->total_pages();
  ledger.places["zone_free"] = allocator_->nr_free_pages();
  ledger.places["pcp"] = allocator_->nr_pcp_pages();
  for (const MemoryUser& user : users_) ledger.places["other"] += user.background->held_pages();
  std::set<PageId> seen;
  const auto hold_page = [&](const char* place, PageId id) {
    std::uint64_t& count = ledger.places[place];
    const Page& page = allocator_->page(id);
    if (page.place != PagePlace::posted && seen.insert(id).second) count += std::uint64_t{1} << page.order;
  };
  const auto hold = [&](const char* place, const SkbPtr& skb) { hold_page(place, skb->page); };
  for (const auto& socket : sockets_) {
    for (const SkbPtr& skb : socket->queue) hold("socket", skb);
    for (const auto& [number, skb] : socket->waiting) hold("socket", skb);
    if (socket->reader->in_hand != nullptr) hold("socket", socket->reader->in_hand);
    for (const SkbPtr& skb : socket->reader->leaked) hold("leaked", skb);
  }
  for (const auto& list : frees_.lists()) {
    for (const SkbPtr& skb : list->skbs) hold("stack", skb);
  }
  for (const auto& nic : nics_) {
    for (const auto& queue : nic->queues) {
      for (const SkbPtr& skb : queue->normal_list) hold("stack", skb);
      queue->xdp_tx.for_each_page([&](PageId page) {
        if (page != no_page) hold_page("tx_ring", page);
      });
      queue->xmit.for_each_page([&](PageId page) {
        if (page != no_page) hold_page("tx_ring", page);
      });
      for (const Frame& frame : queue->redirect.frames) {
        if (frame.page != no_page) hold_page("tx_ring", frame.page);
      }
      for (const SkbPtr& frame : queue->cpumap_bulks.held()) hold("cpumap", frame);
      ledger.places["posted"] += queue->buffers->posted;
      if (queue->buffers->pool == nullptr) continue;
      ledger.places["pool_cache"] += queue->buffers->pool->cache_count();
      ledger.places["pool_ring"] += queue->buffers->pool->ring_count();
    }
    for (const auto& entry : nic->cpumap) {
      for (const SkbPtr& frame : entry->held()) hold("cpumap", frame);
    }
  }
  for (const auto& xsk : xsks_) {
    ledger.places["xsk_fill"] += xsk->to_fill();
    ledger.places["xsk_rx"] += xsk->received_waiting();
    ledger.places["xsk_application"] += xsk->application_frames();
  }
  return ledger;
}

ReferenceResult ReferenceHost::run() {
  events_.run(end_);
  ReferenceResult result;
  result.fingerprint = journal_.fingerprint().value();
  for (std::size_t i = 0; i < fate_names.size(); ++i) {
    result.fates[std::string(fate_names[i])] = journal_.count(static_cast<Fate>(i));
  }
  result.packets = packet_ledger();
  result.pages = page_ledger();
  for (const auto& nic : nics_) {
    for (const auto& queue : nic->queues) {
      const auto count = [&](const std::string& metric, std::uint64_t value) {
        result.counters[queue->name + "." + metric] = value;
      };
      count("rx_packets", queue->rx_packets);
      count("interrupts", queue->interrupts);
      count("polls", queue->polls);
      if (!nic->cpumap.empty()) count("xdp_redirect", queue->redirect.redirected);
      if (nic->program == "xsk_def_prog") {
        count("xdp_redirect", queue->redirect.redirected);
        count("xdp_redirect_err", queue->redirect.errors);
      }
      if (nic->target != nullptr) {
        count("xdp_redirect", queue->redirect.redirected);
        count("xdp_redirect_err", queue->redirect.errors);
        count("xdp_devmap_xmit", queue->redirect.bulks);
        count("xdp_devmap_xmit_sent", queue->redirect.sent);
        count("xdp_devmap_xmit_drops", queue->redirect.drops);
      }
      if (!nic->device.rings.empty()) {
        result.counters[queue->xmit.name + ".tx_xdp_xmit"] = queue->xmit.accepted;
        result.counters[queue->xmit.name + ".tx_xdp_full"] = queue->xmit.full_calls;
        result.counters[queue->xmit.name + ".tx_packets"] = queue->xmit.transmitted;
      }
      if (queue->xdp_tx_xmit + queue->xdp_tx_full != 0) {
        count("xdp_tx_xmit", queue->xdp_tx_xmit);
        count("xdp_tx_full", queue->xdp_tx_full);
        count("xdp_tx.tx_packets", queue->xdp_tx.transmitted);
      }
      if (queue->buffers->pool == nullptr) continue;
      const PagePoolStats& stats = queue->buffers->pool->stats;
      count("page_pool.alloc_fast", stats.alloc_fast);
      count("page_pool.alloc_slow", stats.alloc_slow);
      count("page_pool.alloc_empty", stats.alloc_empty);
      count("page_pool.alloc_refill", stats.alloc_refill);
      count("page_pool.alloc_waive", stats.alloc_waive);
      count("page_pool.recycle_cached", stats.recycle_cached);
      count("page_pool.recycle_cache_full", stats.recycle_cache_full);
      count("page_pool.recycle_ring", stats.recycle_ring);
      count("page_pool.recycle_ring_full", stats.recycle_ring_full);
      count("page_pool.recycle_released_refcnt", stats.recycle_released_refcnt);
      count("page_pool.page_pool_state_hold", stats.page_pool_state_hold);
      count("page_pool.page_pool_state_release", stats.page_pool_state_release);
      count("page_pool.alloc_failed", stats.alloc_failed);
    }
  }
  for (const auto& nic : nics_) {
    for (const auto& entry : nic->cpumap) {
      result.counters[entry->name + ".xdp_cpumap_enqueue"] = entry->bulks;
      result.counters[entry->name + ".xdp_cpumap_enqueue_processed"] = entry->processed;
      result.counters[entry->name + ".xdp_cpumap_enqueue_drops"] = entry->drops;
      result.counters[entry->name + ".xdp_cpumap_kthread"] = entry->batches;
      result.counters[entry->name + ".xdp_cpumap_kthread_processed"] = entry->taken;
      result.counters[entry->name + ".xdp_cpumap_kthread_xdp_pass"] = entry->passed;
      result.counters[entry->name + ".xdp_cpumap_kthread_xdp_drop"] = entry->dropped;
    }
  }
  for (const auto& xsk : xsks_) {
    result.counters[xsk->name + ".rx_dropped"] = xsk->rx_dropped;
    result.counters[xsk->name + ".rx_ring_full"] = xsk->rx_ring_full;
    result.counters[xsk->name + ".rx_fill_ring_empty_descs"] = xsk->fill_empty;
    result.counters[xsk->name + ".xsk_received"] = xsk->received;
    result.counters[xsk->name + ".xsk_wakeups"] = xsk->wakeups;
    result.counters[xsk->name + ".xsk_polls"] = xsk->polls;
  }
  result.events = events_.fired();
  return result;
}

}  // namespace

ReferenceResult run_reference(const Scenario& scenario, std::uint32_t replication) {
  return ReferenceHost(scenario, replication).run();
}

}  // namespace rxpool::reference
