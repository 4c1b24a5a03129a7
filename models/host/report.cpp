#include "models/host/report.hpp"

#include <cstring>
#include <map>
#include <optional>

#include "models/host/control_metrics.hpp"
#include "models/host/queue_restart.hpp"
#include "models/host/socket_metrics.hpp"
#include "models/nic/driver_profile.hpp"

namespace rxpool {
namespace {

/// Of the queue, whose pool may be another one later; counters are those of all pools that it had.
void register_pool(MetricRegistry& registry, Host& host, const std::string& component, const HostQueue& queue) {
  registry.level(component, "pool_cache", [&queue] { return static_cast<double>(queue.pool->cache_count()); });
  registry.level(component, "pool_ring", [&queue] { return static_cast<double>(queue.pool->ring_count()); });
  constexpr std::pair<const char*, std::uint64_t PagePoolStats::*> counters[] = {
      {"alloc_fast", &PagePoolStats::alloc_fast},
      {"alloc_slow", &PagePoolStats::alloc_slow},
      {"alloc_slow_high_order", &PagePoolStats::alloc_slow_high_order},
      {"alloc_empty", &PagePoolStats::alloc_empty},
      {"alloc_refill", &PagePoolStats::alloc_refill},
      {"alloc_waive", &PagePoolStats::alloc_waive},
      {"recycle_cached", &PagePoolStats::recycle_cached},
      {"recycle_cache_full", &PagePoolStats::recycle_cache_full},
      {"recycle_ring", &PagePoolStats::recycle_ring},
      {"recycle_ring_full", &PagePoolStats::recycle_ring_full},
      {"recycle_released_refcnt", &PagePoolStats::recycle_released_refcnt},
      {"alloc_failed", &PagePoolStats::alloc_failed},
      {"page_pool_state_hold", &PagePoolStats::page_pool_state_hold},
      {"page_pool_state_release", &PagePoolStats::page_pool_state_release},
  };
  for (const auto& [name, value] : counters) {
    registry.counter(component, name, [&host, &queue, value = value] { return pool_stats(host, queue).*value; });
  }
}

/// Of the pools that the queue had before it was restarted.
void register_detached(MetricRegistry& registry, Host& host, const HostQueue& queue) {
  const std::string component = queue.queue->name() + ".page_pool";
  registry.level(component, "detached_pools",
                 [&host, &queue] { return static_cast<double>(detached(host, queue).pools); });
  registry.level(component, "detached_inflight",
                 [&host, &queue] { return static_cast<double>(detached(host, queue).inflight); });
}

void register_queue(MetricRegistry& registry, HostNic& nic, HostQueue& host_queue, std::uint32_t index, bool latency) {
  RxQueue& queue = *host_queue.queue;
  const std::string& component = queue.name();
  const DriverProfile& profile = driver_profile(nic.params->driver);
  const RxQueueStats& stats = queue.stats();
  registry.counter(component, "rx_packets", &stats.rx_packets);
  registry.counter(component, "rx_bytes", &stats.rx_bytes);
  registry.counter(component, profile.no_descriptor, &nic.port->queue(index).out_of_buffer);
  registry.counter(component, "xdp_drop", &stats.xdp_drop);
  registry.counter(component, "xdp_pass", &stats.xdp_pass);
  registry.counter(component, "xdp_aborted", &stats.xdp_aborted);
  registry.counter(component, "interrupts", &stats.interrupts);
  registry.counter(component, "polls", &stats.polls);
  registry.counter(component, "skb_alloc_failed", &stats.skb_alloc_fail);
  const auto of_buffers = [&](std::string_view name, std::uint64_t RxBufferStats::* value) {
    registry.counter(component, name, [&queue, value] { return queue.buffers().stats().*value; });
  };
  of_buffers(profile.alloc_failure, &RxBufferStats::alloc_fail);
  if (!profile.has_pool) {
    of_buffers("page_reuse_count", &RxBufferStats::page_reuse);
    of_buffers("page_alloc_count", &RxBufferStats::page_alloc);
    of_buffers("page_busy_count", &RxBufferStats::page_busy);
  }
  if (latency) registry.latency(component, "rx_latency", &queue.latency());
  registry.gauge(component, "held", &queue.held());
  registry.gauge(component, "inflight", &queue.inflight());
  registry.level(component, "posted", [&queue] { return static_cast<double>(queue.buffers().posted()); });
  registry.level(component, "rx_fill", [&queue] { return static_cast<double>(queue.ring().fill()); });
  registry.level(component, "rx_usecs", [&queue] { return static_cast<double>(queue.moderation().setting().usecs); });
}

void register_tx_queue(MetricRegistry& registry, TxQueue& queue, bool latency) {
  const TxQueueStats& stats = queue.stats();
  registry.counter(queue.name(), "tx_packets", &stats.transmitted);
  registry.rate(queue.name(), "tx_pps", &stats.transmitted);
  registry.counter(queue.name(), "tx_bytes", &stats.bytes);
  registry.counter(queue.name(), "doorbells", &stats.doorbells);
  registry.level(queue.name(), "tx_fill", [&queue] { return static_cast<double>(queue.fill()); });
  if (latency) registry.latency(queue.name(), "tx_latency", &queue.latency());
}

void register_redirect(MetricRegistry& registry, const RxQueue& queue, bool to_device) {
  const XdpRedirectStats& stats = queue.redirect().stats();
  registry.counter(queue.name(), "xdp_redirect", &stats.redirect);
  registry.counter(queue.name(), "xdp_redirect_err", &stats.redirect_err);
  if (!to_device) return;
  registry.counter(queue.name(), "xdp_devmap_xmit", &stats.devmap_xmit);
  registry.counter(queue.name(), "xdp_devmap_xmit_sent", &stats.sent);
  registry.counter(queue.name(), "xdp_devmap_xmit_drops", &stats.drops);
}

void register_egress(MetricRegistry& registry, const RxQueue& queue) {
  const XdpRedirectStats& stats = queue.redirect().stats();
  registry.counter(queue.name(), "xdp_egress_drop", &stats.egress_drops);
  registry.counter(queue.name(), "xdp_egress_redirect", &stats.egress_redirects);
  registry.counter(queue.name(), "xdp_egress_backoff", &stats.egress_backoffs);
}

void register_cpumap_entry(MetricRegistry& registry, const CpumapEntry& entry) {
  const CpumapStats& stats = entry.stats();
  registry.counter(entry.name, "xdp_cpumap_enqueue", &stats.enqueue);
  registry.counter(entry.name, "xdp_cpumap_enqueue_processed", &stats.enqueue_processed);
  registry.counter(entry.name, "xdp_cpumap_enqueue_drops", &stats.enqueue_drops);
  registry.counter(entry.name, "xdp_cpumap_kthread", &stats.kthread);
  registry.counter(entry.name, "xdp_cpumap_kthread_processed", &stats.kthread_processed);
  registry.counter(entry.name, "xdp_cpumap_kthread_xdp_pass", &stats.xdp_pass);
  registry.counter(entry.name, "xdp_cpumap_kthread_xdp_drop", &stats.xdp_drop);
  registry.counter(entry.name, "xdp_cpumap_kthread_sched", &entry.pcount);
  registry.rate(entry.name, "enqueue_pps", &stats.enqueue_processed);
  registry.rate(entry.name, "kthread_pps", &stats.kthread_processed);
  registry.level(entry.name, "cpumap_queue", [&entry] { return static_cast<double>(entry.queued()); });
}

void register_core(MetricRegistry& registry, Host& host, Core& core) {
  const std::string& component = core.name();
  const CoreStats& stats = core.stats();
  const SoftnetStats& softnet = core.softirq().stats();
  registry.counter(component, "hard_interrupts", &stats.interrupts);
  registry.counter(component, "ipis", &stats.ipis);
  registry.counter(component, "ticks", &stats.ticks);
  registry.counter(component, "context_switches", &stats.context_switches);
  registry.counter(component, "processed", &softnet.processed);
  registry.counter(component, "time_squeeze", &softnet.time_squeeze);
  registry.counter(component, "net_rx_action", &softnet.net_rx_action);
  registry.counter(component, "ksoftirqd_wakeups", &softnet.ksoftirqd_wakeups);
  registry.share(component, "busy", stats.busy_ps);
  for (std::size_t i = 0; i < context_names.size(); ++i) {
    registry.share(component, "busy_" + std::string(context_names[i]), std::span(&stats.busy_ps[i], 1));
  }
  for (std::size_t i = 0; i < stats.idle_ps.size(); ++i) {
    const std::string state = component + ".idle." + core.idle_states().states()[i].name;
    registry.share(state, "idle_residency", std::span(&stats.idle_ps[i], 1));
    registry.counter(state, "idle_usage", &core.idle_states().counters(i).usage);
  }
  if (!host.scenario().record.per_step) return;
  for (std::size_t context = 0; context < context_names.size(); ++context) {
    const std::string steps = component + ".steps." + std::string(context_names[context]) + ".";
    for (std::size_t i = 0; i < profile_entries; ++i) {
      const std::string_view step = i < step_count ? calibration_steps[i].name : work_names[i - step_count];
      registry.counter(steps + std::string(step), "step_time", &stats.profile_ps[i][context]);
    }
  }
}

/// What a policy says of the drops that its return program has decided (struct rxpool_lag of policy.bpf.h).
void register_return_lag(MetricRegistry& registry, const std::string& component, const bpf::MapAccess& map) {
  const auto word = [map](std::size_t index) {
    std::uint64_t value = 0;
    const std::optional<bpf::Bytes> bytes = map.read(bpf::Bytes(4, 0));
    if (bytes && bytes->size() >= 8 * (index + 1)) std::memcpy(&value, bytes->data() + 8 * index, sizeof value);
    return static_cast<double>(value);
  };
  registry.level(component, "return_drops", [word] { return word(0); });
  registry.level(component, "return_lag_mean", [word] { return word(0) > 0 ? word(1) / word(0) : 0; });
  registry.level(component, "return_lag_max", [word] { return word(2); });
}

void register_sender(MetricRegistry& registry, TcpSource& source) {
  const TcpSenderStats& stats = source.stats();
  registry.counter(source.name(), "TcpOutSegs", &stats.segments);
  registry.counter(source.name(), "TcpRetransSegs", &stats.retransmissions);
  registry.counter(source.name(), "TCPTimeouts", &stats.timeouts);
  registry.counter(source.name(), "tcp_reductions", &stats.reductions);
  registry.counter(source.name(), "tcp_delivered", &stats.delivered);
  registry.rate(source.name(), "tcp_delivered_pps", &stats.delivered);
  registry.counter(source.name(), "path_lost", &source.path().stats().lost);
  registry.counter(source.name(), "path_overflow", &source.path().stats().overflow);
  registry.counter(source.name(), "path_marked", &source.path().stats().marked);
  registry.level(source.name(), "tcp_window", [&source] { return source.mean_window(); });
  registry.latency(source.name(), "transfer_time", &source.completion());
}

void register_port(MetricRegistry& registry, const HostNic& nic) {
  const PortStats& port = nic.port->stats();
  const std::string& component = nic.component;
  registry.counter(component, "rx_packets_phy", &port.rx_packets_phy);
  registry.rate(component, "offered_pps", &port.rx_packets_phy);
  registry.counter(component, "rx_bytes_phy", &port.rx_bytes_phy);
  registry.counter(component, "rx_discards_phy", &port.rx_discards_phy);
  registry.counter(component, "carrier_errors", &nic.port->wire().statistics().carrier_errors);
  registry.counter(component, "llc_dma_writes", &nic.llc->stats.dma_writes);
  registry.counter(component, "llc_dma_write_misses", &nic.llc->stats.dma_write_misses);
  registry.counter(component, "llc_reads", &nic.llc->stats.cpu_reads);
  registry.counter(component, "llc_read_misses", &nic.llc->stats.cpu_read_misses);
}

/// The transmit queues that belong to an RX queue: of frames redirected here, and of its own XDP_TX.
void register_transmit(MetricRegistry& registry, const HostQueue& queue, bool latency) {
  if (queue.xmit != nullptr) {
    registry.counter(queue.xmit->name(), "tx_xdp_xmit", &queue.xmit->stats().posted);
    registry.counter(queue.xmit->name(), "tx_xdp_full", &queue.xmit->stats().full);
    register_tx_queue(registry, *queue.xmit, latency);
  }
  if (queue.xdp_tx == nullptr) return;
  const RxQueueStats& stats = queue.queue->stats();
  registry.counter(queue.queue->name(), "xdp_tx_xmit", &stats.xdp_tx);
  registry.counter(queue.queue->name(), "xdp_tx_full", &stats.xdp_tx_full);
  registry.counter(queue.queue->name(), "xdp_exception", &stats.xdp_exception);
  register_tx_queue(registry, *queue.xdp_tx, latency);
}

void register_nic(MetricRegistry& registry, Host& host, HostNic& nic) {
  const bool latency = host.scenario().record.latency;
  register_port(registry, nic);
  for (TcpSource* source : nic.responsive) register_sender(registry, *source);
  if (nic.program != nullptr) {
    const std::optional<bpf::MapAccess> lag = nic.program->map("rxpool_lag");
    if (lag) register_return_lag(registry, "policies." + nic.name, *lag);
  }
  const bool redirects = !nic.targets.empty() || !nic.cpumap.empty() || has_xsk(host.xsks(), nic.name);
  std::uint32_t index = 0;
  for (HostQueue& queue : nic.queues) {
    register_queue(registry, nic, queue, index++, latency);
    if (queue.pool != nullptr) register_pool(registry, host, queue.queue->name() + ".page_pool", queue);
    registry.rate(queue.queue->name(), "rx_pps", &queue.queue->stats().rx_packets);
    if (redirects) register_redirect(registry, *queue.queue, !nic.targets.empty());
    if (nic.hook.egress != nullptr) register_egress(registry, *queue.queue);
    register_transmit(registry, queue, latency);
  }
  for (const auto& entry : nic.cpumap) register_cpumap_entry(registry, *entry);
  if (nic.hook.cpus != nullptr) {
    registry.gauge("policies." + nic.name + ".cpu_map", "cpus_in_use", &nic.cpus_in_use);
  }
}

void register_stack(MetricRegistry& registry, Host& host) {
  registry.counter("stack", "UdpNoPorts", &host.stack().stats().udp_no_ports);
  registry.counter("stack", "netfilter_drop", host.journal().counter(Fate::netfilter_drop));
  registry.counter("stack", "no_socket", host.journal().counter(Fate::no_socket));
  registry.counter("stack", "unhandled_proto", host.journal().counter(Fate::unhandled_proto));
  registry.counter("stack", "skb_deferred", &host.skb_free().stats().deferred);
  registry.counter("stack", "skb_defer_rejected", &host.skb_free().stats().rejected);
}

void register_memory(MetricRegistry& registry, PageAllocator& allocator) {
  registry.level("memory", "nr_free_pages", [&] { return static_cast<double>(allocator.nr_free_pages()); });
  registry.level("memory", "pcp_pages", [&] { return static_cast<double>(allocator.nr_pcp_pages()); });
  for (Zone& zone : allocator.zones()) {
    const std::string component = "memory.node" + std::to_string(zone.node());
    registry.counter(component, "pgalloc_normal", &zone.stats.pgalloc);
    registry.counter(component, "pgfree", &zone.stats.pgfree);
    registry.counter(component, "pgsteal_kswapd", &allocator.kswapd(zone.node()).stats.pgsteal_kswapd);
  }
  registry.counter("memory", "allocstall_normal", &allocator.stats.allocstall_normal);
  registry.counter("memory", "oom_kill", &allocator.stats.oom_kill);
  registry.counter("memory", "alloc_fail", &allocator.stats.alloc_fail);
  registry.counter("memory", "bulk_calls", &allocator.stats.bulk_calls);
  registry.counter("memory", "bulk_single", &allocator.stats.bulk_single);
}

}  // namespace

void register_metrics(Host& host) {
  MetricRegistry& registry = host.registry();
  const bool latency = host.scenario().record.latency;
  for (const auto& restart : host.restarts().queues()) register_detached(registry, host, restart->queue());
  for (const auto& nic : host.nics()) register_nic(registry, host, *nic);
  for (const auto& core : host.cores()) register_core(registry, host, *core);
  register_sockets(registry, host);
  for (HostXsk& xsk : host.xsks()) register_xsk(registry, xsk, latency);
  for (HostPmd& pmd : host.pmds()) {
    register_pmd(registry, pmd, latency);
    if (pmd.transmit != nullptr) register_tx_queue(registry, *pmd.transmit, latency);
  }
  register_stack(registry, host);
  register_memory(registry, host.allocator());
  if (host.control() != nullptr) register_control(registry, *host.control());
  if (host.control_thread() != nullptr) registry.counter("control", "control_time", &host.control_thread()->time_ps());
}

void settle(Host& host, Time now) {
  for (const auto& core : host.cores()) core->observe(now);
  for (const HostSocket& socket : host.sockets()) socket.socket->settle(Time::never());
  for (const HostPmd& pmd : host.pmds()) {
    if (pmd.transmit != nullptr) pmd.transmit->observe(now);
  }
  for (const auto& nic : host.nics()) {
    nic->port->catch_up(now);
    for (HostQueue& queue : nic->queues) {
      queue.queue->observe(now);
      queue.queue->observe_sent(now);
    }
  }
}

TraceColumns trace_columns(Host& host, const Trace& trace) {
  TraceColumns columns;
  std::map<const void*, std::int64_t> index;
  for (const auto& nic : host.nics()) {
    for (HostQueue& queue : nic->queues) {
      const auto number = static_cast<std::int64_t>(columns.queues.size());
      index[static_cast<const RxPages*>(&queue.queue->buffers())] = number;
      for (const RetiredPool& retired : queue.retired) {
        index[static_cast<const RxPages*>(retired.buffers.get())] = number;
      }
      columns.queues.push_back(queue.queue->name());
    }
  }
  for (const Trace::ContextChange& change : trace.contexts()) {
    columns.context_ps.push_back(change.at.ps);
    columns.context_cpu.push_back(change.cpu);
    columns.context.push_back(change.context);
  }
  for (const Trace::Poll& poll : trace.polls()) {
    columns.poll_begin_ps.push_back(poll.begin.ps);
    columns.poll_end_ps.push_back(poll.end.ps);
    columns.poll_queue.push_back(index.at(poll.queue));
    columns.poll_cpu.push_back(poll.cpu);
    columns.poll_packets.push_back(poll.packets);
  }
  for (const Trace::Moment& moment : trace.moments()) {
    columns.moment_ps.push_back(moment.at.ps);
    columns.moment_queue.push_back(index.at(moment.queue));
    columns.moment_packet.push_back(static_cast<std::int64_t>(moment.packet));
    columns.moment_cpu.push_back(moment.cpu);
    columns.moment_stage.push_back(static_cast<std::int64_t>(moment.stage));
  }
  return columns;
}

}  // namespace rxpool
