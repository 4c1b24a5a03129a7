#include "models/host/host.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/host/actors.hpp"
#include "models/host/changes.hpp"
#include "models/host/control.hpp"
#include "models/host/groups.hpp"
#include "models/host/metric_table.hpp"
#include "models/host/prices.hpp"
#include "models/host/queue_restart.hpp"
#include "models/host/redirect.hpp"
#include "models/host/report.hpp"
#include "models/host/socket_memory.hpp"
#include "models/host/sockets.hpp"
#include "models/host/tcp.hpp"
#include "models/nic/driver_profile.hpp"
#include "sim/error.hpp"

namespace rxpool {

Host::Host(const Scenario& scenario, std::uint32_t replication)
    : scenario_(scenario),
      calibration_(host_calibration(scenario, replication)),
      idle_table_(idle_table(calibration_)),
      facts_(policies_facts(scenario, calibration_)),
      groups_(coupling_groups(scenario, facts_)),
      registry_(metric_table()) {
  if (!calibration_.era.empty()) {
    warnings_.push_back("costs are those of " + calibration_.machine + ", era " + calibration_.era +
                        "; the rules are those of Linux " + std::to_string(scenario.kernel.release.major) + "." +
                        std::to_string(scenario.kernel.release.minor));
  }
  for (const auto& [name, nic] : scenario.nics) {
    const std::string driver(scenario::driver_defaults(nic.driver).name);
    if (calibration_.calibrated_for(driver)) continue;
    warnings_.push_back("uncalibrated: nobody has fitted " + calibration_.name + " to measurements with " + driver +
                        " (nics." + name + "); orderings may hold, absolute rates are not predictions");
  }
  build_memory();
  build_cores();
  build_sockets(replication);
  build_nics(replication);
  xsks_ = make_xsks(scenario_, replication, cores_, journal_);
  connect_xskmaps(xsks_, nics_);
  connect_tcp();
  build_actors();
  fill_rings();
  connect_busy_polls(*this);
  pmds_ = make_pmds(scenario_, replication, cores_, nics_, *pools_, journal_);
  if (control_actor_ != nullptr) {
    control_ = make_control_loop(*this);
    control_thread_ = make_control_thread(*this);
  }
  register_metrics(*this);
  power_on();
}

Host::~Host() = default;

Core& Host::core(const std::string& cpu_name) {
  for (const auto& core : cores_) {
    if (core->name() == "cpus." + cpu_name) return *core;
  }
  throw BugError("host: no CPU \"" + cpu_name + "\"");
}

MemoryContext Host::context_of_others(Time now, unsigned node) const {
  MemoryContext context;
  context.cpu = static_cast<std::uint16_t>(cores_.size() + node);
  context.node = static_cast<std::uint8_t>(node);
  context.now = now;
  return context;
}

void Host::build_memory() {
  const scenario::KernelParams& kernel = scenario_.kernel;
  const scenario::MemoryParams& memory = scenario_.memory;
  MemoryParameters params;
  for (std::uint32_t node = 0; node < memory.nodes; ++node) {
    params.nodes.push_back({{{ZoneKind::normal, std::uint64_t{memory.total_mib} << 20}}});
  }
  for (const auto& [name, cpu] : scenario_.cpus) params.cpu_node.push_back(static_cast<std::uint8_t>(cpu.node));
  // kswapd and the other users of memory run on a CPU of their own in each node, with its own per-CPU lists.
  for (std::uint32_t node = 0; node < memory.nodes; ++node) params.cpu_node.push_back(static_cast<std::uint8_t>(node));
  params.release = kernel.release;
  params.min_free_kbytes = kernel.min_free_kbytes;
  params.watermark_scale_factor = kernel.watermark_scale_factor;
  params.percpu_pagelist_high_fraction = kernel.percpu_pagelist_high_fraction;
  params.kswapd.wake_latency = time_from_us(memory.kswapd.wake_latency_us);
  params.kswapd.time_per_page =
      memory.kswapd.pages_per_ms > 0 ? Time{std::llround(1e9 / memory.kswapd.pages_per_ms)} : Time::never();
  allocator_ = std::make_unique<PageAllocator>(params, memory_prices(calibration_));
  allocator_->set_kswapd_listener(this);
  pools_ = std::make_unique<PagePools>(*allocator_);

  // What is not free at the start belongs to others for good.
  if (memory.free_mib != 0 && memory.free_mib < memory.total_mib) {
    for (std::uint32_t node = 0; node < memory.nodes; ++node) {
      BackgroundParameters others;
      others.node = static_cast<std::uint8_t>(node);
      others.reclaimable = false;
      background_nodes_.push_back(others.node);
      backgrounds_.push_back(std::make_unique<Background>(*allocator_, others));
      backgrounds_.back()->prefill(std::uint64_t{memory.total_mib - memory.free_mib} << (20 - page_shift));
    }
  }
  for (const auto& [name, user] : memory.background) {
    BackgroundParameters params_of_user;
    params_of_user.node = static_cast<std::uint8_t>(user.node);
    params_of_user.start = time_from_ms(user.start_ms);
    if (user.stop_ms > 0) params_of_user.stop = time_from_ms(user.stop_ms);
    if (user.pages_per_ms > 0) params_of_user.time_per_page = Time{std::llround(1e9 / user.pages_per_ms)};
    if (user.hold_ms > 0) params_of_user.hold = time_from_ms(user.hold_ms);
    if (user.limit_mib > 0) params_of_user.limit_pages = static_cast<std::uint64_t>(user.limit_mib * 256);
    params_of_user.reclaimable = user.reclaimable;
    params_of_user.blocking = user.blocking;
    background_nodes_.push_back(params_of_user.node);
    backgrounds_.push_back(std::make_unique<Background>(*allocator_, params_of_user));
  }
}

void Host::build_cores() {
  const scenario::KernelParams& kernel = scenario_.kernel;
  std::uint16_t number = 0;
  for (const auto& [name, cpu] : scenario_.cpus) {
    CoreParams params;
    params.name = "cpus." + name;
    params.cpu = number;
    params.node = static_cast<std::uint8_t>(cpu.node);
    params.softirq = {kernel.netdev_budget, kernel.netdev_budget_usecs, kernel.hz};
    params.scheduler.release = std::to_string(kernel.release.major) + "." + std::to_string(kernel.release.minor);
    params.scheduler.hz = static_cast<int>(kernel.hz);
    params.scheduler.cpus = static_cast<int>(scenario_.cpus.size());
    params.idle = idle_params(idle_table_, cpu.idle_states, static_cast<int>(kernel.hz));
    cores_.push_back(std::make_unique<Core>(params, calibration_, engine_));
    Core& core = *cores_.back();
    engine_.add(core.event(), params.name, groups_[number], &core, &Core::fire);
    ++number;
  }
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    std::vector<Core*> others;
    for (std::size_t k = 0; k < cores_.size(); ++k) {
      if (k != i && groups_[k] == groups_[i]) others.push_back(cores_[k].get());
    }
    cores_[i]->set_others(std::move(others));
  }
}

void Host::build_sockets(std::uint32_t replication) {
  slab_ = std::make_unique<SkbSlab>(4096);
  skb_free_ = std::make_unique<SkbFree>(*slab_, scenario_.kernel.skb_defer_max);
  for (const auto& core : cores_) skb_free_->add(*core);
  stack_ = std::make_unique<Stack>(*slab_, *skb_free_, journal_);
  udp_memory_ = rxpool::udp_memory(scenario_.kernel, nr_free_buffer_pages(*allocator_));
  cgroups_ = memory_cgroups(scenario_.memory);
  std::uint32_t component = 0;
  for (const auto& [name, params] : scenario_.sockets) {
    HostSocket& made = sockets_.emplace_back();
    made.name = "sockets." + name;
    if (params.protocol == scenario::SocketProtocol::tcp) {
      auto socket = std::make_unique<TcpSocket>(params.port, *slab_, tcp_memory_);
      made.tcp = socket.get();
      stack_->add(*made.tcp);
      made.socket = std::move(socket);
    } else {
      auto udp = std::make_unique<UdpSocket>(udp_params(scenario_.kernel, params), *slab_, udp_memory_,
                                             cgroup_of(cgroups_, params.cgroup));
      stack_->add(*udp);
      made.socket = std::move(udp);
    }
    made.reader = std::make_unique<SocketReader>(reader_params(scenario_, name, replication), *made.socket, *slab_,
                                                 *skb_free_, journal_);
    made.reader->name = made.name;
    made.reader->component_id = ++component;
    made.reader->nice = params.reader.nice;
    made.socket->reader = made.reader.get();
    made.socket->reader_core = &core(params.cpu);
  }
}

void Host::connect_tcp() {
  tcp_memory_ = tcp_memory(scenario_.kernel, nr_free_buffer_pages(*allocator_));
  std::vector<TcpSource*> sources;
  for (const auto& nic : nics_) {
    for (TcpSource* source : nic->responsive) {
      sources.push_back(source);
      source->set_front([this, &port = *nic->port] { return engine_.front_of_influence(*port.queue(0).cpu); });
    }
  }
  std::sort(sources.begin(), sources.end(),
            [](const TcpSource* a, const TcpSource* b) { return a->first_connection() < b->first_connection(); });
  std::size_t index = 0;
  for (const auto& [name, params] : scenario_.sockets) {
    TcpSocket* const socket = sockets_[index++].tcp;
    if (socket == nullptr) continue;
    for (TcpSource* source : sources) {
      for (TcpConnectionParams connection : connections_of(scenario_, params, *source)) {
        connection.cgroup = cgroup_of(cgroups_, params.cgroup);
        socket->connect(connection, *source);
      }
    }
  }
}

void Host::build_nics(std::uint32_t replication) {
  const RxEnvironment environment{stack_.get(), slab_.get(), &journal_};
  for (const auto& [name, params] : scenario_.nics) {
    nics_.push_back(make_host_nic(name, scenario_, replication, calibration_, engine_, allocator_->pages().page_count(),
                                  environment, *pools_, journal_));
    nics_.back()->tx_link->shared = senders_in_groups(scenario_, name, facts_, groups_) > 1;
  }
  connect_redirects(scenario_, facts_, nics_, *pools_, journal_);
  connect_cpumaps(scenario_, facts_, nics_, cores_, environment);
}

void Host::build_actors() {
  const auto add = [this](std::unique_ptr<Actor> actor, const std::string& component, std::uint32_t group) {
    engine_.add(actor->event, component, group, actor.get(), &Actor::fire);
    actors_.push_back(std::move(actor));
    return actors_.back().get();
  };
  // Reclaim touches only zones: a group of its own. Other users of memory may drain every CPU's lists (PA-52): nobody
  // passes them.
  std::uint32_t group = static_cast<std::uint32_t>(cores_.size()) + 1;
  for (unsigned node = 0; node < allocator_->node_count(); ++node) {
    kswapd_actors_.push_back(
        add(std::make_unique<KswapdActor>(*this, node), "memory.kswapd" + std::to_string(node), group++));
  }
  std::size_t number = 0;
  for (const auto& background : backgrounds_) {
    const std::uint8_t node = background_nodes_[number];
    add(std::make_unique<BackgroundActor>(*this, *background, node), "memory.background" + std::to_string(number++),
        Engine::everybody);
  }
  add(std::make_unique<VmstatActor>(*this, milliseconds(scenario_.kernel.stat_interval_ms)), "memory.vmstat",
      Engine::everybody);
  add(std::make_unique<SamplerActor>(*this, time_from_us(scenario_.record.every_us)), "record", Engine::everybody);
  add(std::make_unique<WarmupActor>(*this), "warmup", Engine::everybody);
  for (const auto& [name, event] : scenario_.events) {
    add(std::make_unique<TimedChange>(*this, event), "events." + name, Engine::everybody);
  }
  restarts_ = std::make_unique<QueueRestarts>(*this);
  for (const auto& nic : nics_) {
    if (nic->scaler == nullptr) continue;
    scaler_actors_.push_back(
        {add(std::make_unique<CpuScalerActor>(*this, *nic), "policies." + nic->name + ".scaling", Engine::everybody),
         nic->scaler->params().period});
  }
  if (wants_control(*this)) {
    control_actor_ = add(std::make_unique<ControlActor>(*this), "control", Engine::everybody);
  }
  engine_.seal();
}

void Host::fill_rings() {
  populate(xsks_, *allocator_);
  for (const auto& nic : nics_) {
    for (std::size_t i = 0; i < nic->queues.size(); ++i) {
      HostQueue& queue = nic->queues[i];
      const auto& [name, params] = *std::next(nic->params->rx_queues.begin(), static_cast<std::ptrdiff_t>(i));
      Core& core = this->core(params.cpu);
      RxBuffersRequest request = buffers_request(scenario_, *nic, name, *queue.queue, core.memory(false).node);
      Xsk* const xsk = xsk_of(xsks_, nic->name, name);
      request.umem = xsk != nullptr && xsk->params().zero_copy ? xsk : nullptr;
      const scenario::PmdParams* const pmd = pmd_of(scenario_, nic->name, name);
      if (pmd != nullptr) {
        request.mempool = pmd->mempool;
        request.mempool_put = calibration_.cost(Step::mempool_put);
      }
      RxBuffersMade made = make_rx_buffers(request, *pools_, *allocator_);
      queue.pool = made.pool;
      MemoryContext& context = core.memory(true);
      context.now = Time{0};
      if (!queue.queue->power_on(std::move(made.buffers), context)) {
        throw InputError(
            "nics." + nic->name + ".rx_queues." + name + ": the host has too little memory to fill the ring" +
            "; raise memory.total_mib or memory.free_mib, or lower " + (pmd == nullptr ? "rx_ring" : "mempool"));
      }
      if (pmd != nullptr) {
        queue.queue->give_to_user_space(core);
        continue;
      }
      if (xsk != nullptr) {
        queue.queue->set_xsk(*xsk, xsk == request.umem ? static_cast<UmemBuffers*>(&queue.queue->buffers()) : nullptr);
      }
      queue.queue->set_affinity(core);
      if (params.napi_threaded)
        queue.queue->make_threaded(params.thread_cpu.empty() ? core : this->core(params.thread_cpu));
    }
  }
}

void Host::power_on() {
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    sockets_[i].reader->attach(*sockets_[i].socket->reader_core);
  }
  for (HostXsk& xsk : xsks_) xsk.application->attach(*xsk.core);
  for (HostPmd& pmd : pmds_) pmd.driver->attach(*pmd.core);
  if (control_thread_ != nullptr) control_thread_->attach(core(scenario_.control.cpu));
  for (const auto& core : cores_) core->power_on();

  std::size_t next = kswapd_actors_.size();
  for (const auto& background : backgrounds_) {
    engine_.arm(actors_[next++]->event, background->next_step(), EventClass::application);
  }
  engine_.arm(actors_[next++]->event, milliseconds(scenario_.kernel.stat_interval_ms), EventClass::control);
  const Time warmup = time_from_ms(scenario_.warmup_ms);
  const Time every = time_from_us(scenario_.record.every_us);
  if (every.ps > 0) {
    registry_.reserve_samples(static_cast<std::size_t>(time_from_ms(scenario_.duration_ms) / every) + 1);
    engine_.arm(actors_[next]->event, warmup + every, EventClass::sampler);
  }
  ++next;
  if (warmup.ps > 0) engine_.arm(actors_[next]->event, warmup, EventClass::sampler);
  ++next;
  for (const auto& [name, event] : scenario_.events) {
    engine_.arm(actors_[next++]->event, time_from_ms(event.at_ms), EventClass::control);
  }
  for (const auto& [actor, period] : scaler_actors_) engine_.arm(actor->event, period, EventClass::control);
  if (control_ != nullptr) {
    for (std::string& warning : control_warnings(*this)) warnings_.push_back(std::move(warning));
    engine_.arm(control_actor_->event, control_->next(), EventClass::control);
  }
}

void Host::kswapd_woken(unsigned node, Time first_step) {
  engine_.arm(kswapd_actors_[node]->event, first_step, EventClass::thread);
}

}  // namespace rxpool
