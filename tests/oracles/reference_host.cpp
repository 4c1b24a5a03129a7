#include "tests/oracles/reference_host.hpp"

#include <cmath>

#include "models/host/pmd.hpp"
#include "models/host/prices.hpp"
#include "models/host/redirect.hpp"
#include "models/host/socket_memory.hpp"
#include "models/host/tcp.hpp"
#include "models/host/xsk.hpp"

namespace rxpool::reference {

ReferenceHost::ReferenceHost(const Scenario& scenario, std::uint32_t replication)
    : scenario_(scenario),
      replication_(replication),
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
  components_.push_back("memory.page_pools");
  for (const auto& [name, nic] : scenario.nics) {
    for (const auto& [queue, params] : nic.rx_queues) {
      components_.push_back("nics." + name + ".rx_queues." + queue + ".restart");
    }
  }
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

BuffersRequest ReferenceHost::buffers_request(const Nic& nic, const Queue& queue, std::uint8_t node) const {
  BuffersRequest request;
  request.driver = nic.params.driver;
  request.pool_size = queue.params.pool_size;
  request.node = node;
  request.xdp = ever_has_program(scenario_, nic.name);
  request.list_owner = &queue.list_owner;
  return request;
}

std::unique_ptr<Buffers> ReferenceHost::make_buffers_of(const Nic& nic, Queue& queue) {
  for (const auto& [name, pmd] : scenario_.pmds) {
    if (queue.name != "nics." + pmd.nic + ".rx_queues." + pmd.queue) continue;
    queue.polled = true;
    return std::make_unique<MempoolPages>(pmd.mempool, calibration_.cost(Step::mempool_put), queue.ring, *allocator_);
  }
  if (queue.xsk != nullptr && queue.xsk->params.zero_copy) {
    auto umem = std::make_unique<UmemPages>(*queue.xsk, queue.ring, *allocator_);
    queue.umem = umem.get();
    return umem;
  }
  const BuffersRequest request = buffers_request(nic, queue, cpu(queue.params.cpu).node());
  return make_buffers(request, queue.ring, *pools_, *allocator_);
}

/// Each poll-mode driver with its queue, which has its buffers.
void ReferenceHost::make_pmds() {
  for (const auto& [name, params] : scenario_.pmds) {
    const std::string component = "pmds." + name;
    Nic& nic = **std::find_if(nics_.begin(), nics_.end(),
                              [&, &wanted = params.nic](const auto& n) { return n->name == wanted; });
    Queue& queue = **std::find_if(nic.queues.begin(), nic.queues.end(), [&, &p = params](const auto& q) {
      return q->name == "nics." + p.nic + ".rx_queues." + p.queue;
    });
    pmds_.push_back(std::make_unique<Pmd>(
        component, params, RandomStream(scenario_.seed, replication_, component + ".service"),
        Pmd::Parts{queue.ring, static_cast<MempoolPages&>(*queue.buffers),
                   [&nic](const Packet& packet) { return nic.read_miss(packet); }},
        TxRing(component + ".tx", nic.params.tx_ring, nic.tx_link, events_, 2 * nic.number, journal_), journal_));
    pmds_.back()->component_id = pmd_component_id(pmds_.size() - 1);
    pmds_.back()->start(cpu(queue.params.cpu));
  }
}

void ReferenceHost::power_on() {
  for (const auto& nic : nics_) {
    for (const auto& queue : nic->queues) {
      Cpu& on = cpu(queue->params.cpu);
      queue->buffers = make_buffers_of(*nic, *queue);
      MemoryContext context = on.context_now(true);
      if (!queue->buffers->fill(context)) throw InputError("too little memory to fill the ring");
      if (queue->polled) {
        queue->give_to_user_space(on);
        continue;
      }
      queue->set_affinity(on);
      if (queue->params.napi_threaded) {
        queue->make_threaded(queue->params.thread_cpu.empty() ? on : cpu(queue->params.thread_cpu));
      }
    }
  }
  std::size_t i = 0;
  for (const auto& [name, params] : scenario_.sockets) {
    if (params.reader.busy_poll.us > 0) {
      for (const auto& nic : nics_) {
        for (const auto& queue : nic->queues) readers_[i]->napis[queue->buffers.get()] = queue.get();
      }
    }
    readers_[i++]->start(cpu(params.cpu));
  }
  for (const auto& xsk : xsks_) xsk->start(cpu(xsk->params.cpu));
  make_pmds();
  if (scenario_.control.active() && !scenario_.control.cpu.empty()) {
    std::size_t queues = 0;
    for (const auto& nic : nics_) queues += nic->queues.size();
    queues -= scenario_.pmds.size();
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

}  // namespace rxpool::reference
