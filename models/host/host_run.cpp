// One replication of a host: the event loop, and what is left to say when it is over.
#include <ctime>
#include <functional>
#include <optional>

#include "models/host/bottleneck.hpp"
#include "models/host/control.hpp"
#include "models/host/host.hpp"
#include "models/host/ledgers.hpp"
#include "models/host/report.hpp"

namespace rxpool {
namespace {

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::uint64_t offered_packets(Host& host) {
  std::uint64_t offered = 0;
  for (const auto& nic : host.nics()) offered += nic->port->stats().rx_packets_phy;
  return offered;
}

std::uint64_t program_packets(Host& host) {
  std::uint64_t runs = 0;
  for (const auto& nic : host.nics()) {
    for (const HostQueue& queue : nic->queues) runs += queue.queue->stats().program_runs;
  }
  for (const HostPmd& pmd : host.pmds()) runs += pmd.driver->stats().ipackets;
  return runs;
}

void add_rows(ReplicationResult& result, MetricRegistry& registry, Time now) {
  for (MetricRegistry::Value& value : registry.values(now)) {
    result.metrics.push_back({*value.component, std::move(value.metric), std::string(value.unit), value.value});
  }
  for (const MetricRegistry::Series& series : registry.series()) {
    SeriesRow& row = result.series.emplace_back();
    row.component = *series.component;
    row.metric = series.metric;
    row.unit = series.unit;
    row.value = series.value;
    for (const Time at : registry.sample_times()) row.time_ns.push_back(at.ps / 1000);
  }
}

/// A policy that redirects where the scenario has nothing to redirect to.
void warn_of_refused_redirects(Host& host) {
  for (const auto& nic : host.nics()) {
    if (!nic->targets.empty() || !nic->cpumap.empty() || has_xsk(host.xsks(), nic->name)) continue;
    std::uint64_t refused = 0;
    for (const HostQueue& queue : nic->queues) refused += queue.queue->redirect().stats().redirect_err;
    if (refused == 0) continue;
    host.warnings().push_back(
        nic->component + ": " + std::to_string(refused) +
        " packets with verdict XDP_REDIRECT were dropped as xdp_redirect_err: the policy has no entry of a "
        "devmap or cpumap to send to");
  }
}

}  // namespace

ReplicationResult Host::run(const RunOptions& options) {
  const Time end = time_from_ms(scenario_.warmup_ms) + time_from_ms(scenario_.duration_ms);
  std::function<bool(Time)> keep_going;
  if (options.progress) {
    keep_going = [&, total_ms = static_cast<double>(end.ps) * 1e-9](Time now) {
      return options.progress(static_cast<double>(now.ps) * 1e-9, total_ms, offered_packets(*this));
    };
  }
  ReplicationResult result;
  result.replication = options.replication;
  std::optional<Trace> trace;
  if (options.trace) {
    trace.emplace(options.trace->from, options.trace->to, cores_.size());
    journal_.trace = &*trace;
    skb_free_->set_trace(&*trace);
    for (const auto& core : cores_) core->set_trace(&*trace);
  }
  const double before = thread_cpu_seconds();
  const Engine::Status status = engine_.run(end, keep_going);
  result.loop_cpu_seconds = thread_cpu_seconds() - before;
  result.cancelled = status == Engine::Status::cancelled;
  const Time now = result.cancelled ? engine_.now() : end;
  settle(*this, now);
  if (control_ != nullptr) control_->finish();
  for (const auto& nic : nics_) nic->port->close(now);

  result.simulated_ms = static_cast<double>((now - time_from_ms(scenario_.warmup_ms)).ps) * 1e-9;
  result.offered_packets = offered_packets(*this);
  result.program_packets = program_packets(*this);
  add_rows(result, registry_, now);
  if (trace) result.trace = trace_columns(*this, *trace);
  result.packets = packet_ledger(*this);
  result.packets_at_cut = packets_at_cut_;
  result.pages = page_ledger(*this);
  result.bottleneck = find_bottleneck(*this, now);
  result.fingerprint = journal_.fingerprint().value();
  warn_of_refused_redirects(*this);
  result.warnings = warnings_;
  return result;
}

ReplicationResult run_replication(const Scenario& scenario, const RunOptions& options) {
  Host host(scenario, options.replication);
  return host.run(options);
}

}  // namespace rxpool
