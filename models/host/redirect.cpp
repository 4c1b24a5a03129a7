#include "models/host/redirect.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>

#include "models/scenario/cpu_redirect.hpp"
#include "models/scenario/redirect_target.hpp"
#include "sim/error.hpp"

namespace rxpool {

namespace {

/// Of a policy: the devices in its maps, and where it calls bpf_redirect every other one that takes frames.
std::vector<std::string> policy_targets(const Scenario& scenario, const std::string& nic,
                                        const PolicyRedirect& redirect) {
  const std::set<std::uint32_t> in_maps = redirect.devices_in_maps();
  std::vector<std::string> targets;
  for (const auto& [name, ifindex] : interfaces(scenario)) {
    const bool in_map = in_maps.contains(ifindex);
    if (!in_map && !redirect.names_devices()) continue;
    const std::string refusal = scenario::redirect_refusal(scenario, nic, name);
    if (in_map && !refusal.empty()) throw InputError("policies." + nic + ".maps: " + name + ": " + refusal);
    if (refusal.empty()) targets.push_back(name);
  }
  return targets;
}

}  // namespace

std::vector<std::string> redirect_targets(const Scenario& scenario, const std::string& nic,
                                          const PolicyProgram* program) {
  if (program != nullptr) return policy_targets(scenario, nic, program->redirect());
  const auto policy = scenario.policies.find(nic);
  if (policy == scenario.policies.end() || policy->second.program != "redirect") return {};
  if (scenario::redirects_to_cpus(policy->second)) return {};
  return {std::get<std::string>(policy->second.params.at("to"))};
}

std::vector<std::string> redirect_cpus(const Scenario& scenario, const std::string& nic, const PolicyProgram* program) {
  if (program != nullptr) {
    std::vector<std::string> cpus;
    for (const PolicyRedirect::Cpu& entry : program->redirect().cpus()) {
      cpus.push_back(std::next(scenario.cpus.begin(), entry.cpu)->first);
    }
    return cpus;
  }
  const auto policy = scenario.policies.find(nic);
  if (policy == scenario.policies.end() || !scenario::redirects_to_cpus(policy->second)) return {};
  return scenario::cpu_redirect(policy->second).cpus;
}

std::uint32_t cpumap_component_id(std::size_t nic, std::size_t entry) {
  constexpr std::uint32_t first = 1U << 20;  // behind ksoftirqd, NAPI threads and readers
  return first + static_cast<std::uint32_t>((nic << 10) + entry);
}

std::uint32_t xmit_channel(const scenario::NicParams& target, std::uint32_t cpu) {
  return cpu % static_cast<std::uint32_t>(target.rx_queues.size());
}

namespace {

HostNic& nic_named(std::vector<std::unique_ptr<HostNic>>& nics, const std::string& name) {
  const auto found = std::find_if(nics.begin(), nics.end(), [&](const auto& nic) { return nic->name == name; });
  ensure(found != nics.end(), "host: redirect to a NIC that the scenario let through");
  return **found;
}

void make_xmit_queues(HostNic& nic, const Scenario& scenario, PagePools& pools, Journal& journal) {
  const scenario::NicParams& params = *nic.params;
  nic.device.name = nic.name;
  nic.device.ifindex = interfaces(scenario).at(nic.name);
  nic.device.mtu = params.mtu;
  nic.device.shared_queues = scenario::xdp_features(params.driver).shares_queues;
  for (HostQueue& queue : nic.queues) {
    TxQueueParams made;
    made.name = nic.component + ".tx_queues.xdp" + std::to_string(nic.device.queues.size());
    made.size = params.tx_ring;
    made.own_pages = false;
    made.locked = nic.device.shared_queues && scenario.cpus.size() > nic.queues.size();
    made.moderation = microseconds(params.tx_usecs);
    made.record_latency = scenario.record.latency;
    queue.xmit = std::make_unique<TxQueue>(made, *nic.tx_link, pools, journal);
    queue.queue->set_xmit(*queue.xmit);
    nic.device.queues.push_back(queue.xmit.get());
  }
}

CpumapEntryParams::Program entry_program(scenario::RemoteAction action) {
  switch (action) {
    case scenario::RemoteAction::disabled:
      return CpumapEntryParams::Program::none;
    case scenario::RemoteAction::pass:
      return CpumapEntryParams::Program::pass;
    case scenario::RemoteAction::drop:
      return CpumapEntryParams::Program::drop;
  }
  throw BugError("host: unknown program of a cpumap entry");
}

}  // namespace

void connect_redirects(const Scenario& scenario, const PoliciesFacts& facts,
                       std::vector<std::unique_ptr<HostNic>>& nics, PagePools& pools, Journal& journal) {
  for (const auto& nic : nics) {
    const std::vector<std::string>& targets = facts.at(nic->name).redirect_targets;
    if (nic->program != nullptr) nic->program->prepare_devmap_programs(static_cast<std::uint32_t>(targets.size()));
    for (const std::string& name : targets) {
      HostNic& target = nic_named(nics, name);
      if (target.device.queues.empty()) make_xmit_queues(target, scenario, pools, journal);
      nic->targets.push_back(&target.device);
      if (nic->program != nullptr) {
        nic->program->redirect().set_device(target.device.ifindex, target.device);
      } else {
        nic->hook.target = &target.device;
      }
    }
  }
}

namespace {

/// The built-in program: one map with an entry for each CPU that it names.
void connect_built_in(const Scenario& scenario, HostNic& nic, CpumapEntryParams params,
                      const std::function<CpumapEntry&(const CpumapEntryParams&, std::size_t)>& make) {
  const scenario::CpuRedirect redirect = scenario::cpu_redirect(scenario.policies.at(nic.name));
  params.qsize = redirect.qsize;
  params.program = entry_program(redirect.remote);
  std::vector<CpumapEntry*> entries;
  for (const std::string& cpu : redirect.cpus) {
    params.name = "policies." + nic.name + ".cpu_map." + cpu;
    const auto number = std::distance(scenario.cpus.begin(), scenario.cpus.find(cpu));
    entries.push_back(&make(params, static_cast<std::size_t>(number)));
  }
  nic.spread = std::make_unique<CpumapSpread>(std::move(entries), redirect.spread == scenario::CpuSpread::l4_hash,
                                              scenario.cpus.size());
  nic.hook.cpus = nic.spread.get();
  nic.scaler = make_cpu_scaler(scenario, nic.name);
  if (nic.scaler != nullptr) nic.spread->use(nic.scaler->in_use());
  nic.cpus_in_use.set(Time{0}, static_cast<std::int64_t>(nic.spread->in_use()));
}

/// A policy: the entries of its maps.
void connect_policy(const Scenario& scenario, HostNic& nic, CpumapEntryParams params,
                    const std::function<CpumapEntry&(const CpumapEntryParams&, std::size_t)>& make) {
  PolicyRedirect& redirect = nic.program->redirect();
  for (const PolicyRedirect::Cpu& at : redirect.cpus()) {
    params.name = "policies." + nic.name + "." + nic.program->policy().object().maps[at.map].name + "." +
                  std::next(scenario.cpus.begin(), at.cpu)->first;
    params.qsize = at.qsize;
    params.program = at.program < 0 ? CpumapEntryParams::Program::none : CpumapEntryParams::Program::policy;
    params.policy = at.program < 0 ? nullptr : &nic.program->cpumap_program(at.program);
    redirect.set_cpu(at, make(params, at.cpu));
  }
}

}  // namespace

void connect_cpumaps(const Scenario& scenario, const PoliciesFacts& facts, std::vector<std::unique_ptr<HostNic>>& nics,
                     std::vector<std::unique_ptr<Core>>& cores, const RxEnvironment& environment) {
  for (std::size_t number = 0; number < nics.size(); ++number) {
    HostNic& nic = *nics[number];
    if (facts.at(nic.name).redirect_cpus.empty()) continue;
    CpumapEntryParams params;
    params.gro = nic.params->gro;
    params.flushes_late = scenario.kernel.at_least(6, 15);
    params.gro_normal_batch = scenario.kernel.gro_normal_batch;
    const auto make = [&](const CpumapEntryParams& made, std::size_t cpu) -> CpumapEntry& {
      const CpumapEntry::Environment uses{environment.stack, environment.slab, environment.journal, &nic.netfilter};
      CpumapEntry& entry = *nic.cpumap.emplace_back(std::make_unique<CpumapEntry>(made, uses));
      entry.component_id = cpumap_component_id(number, nic.cpumap.size() - 1);
      entry.attach(*cores[cpu]);
      return entry;
    };
    if (nic.program != nullptr) {
      connect_policy(scenario, nic, params, make);
    } else {
      connect_built_in(scenario, nic, params, make);
    }
  }
}

std::unique_ptr<CpuScaler> make_cpu_scaler(const Scenario& scenario, const std::string& nic) {
  const scenario::PolicyParams& policy = scenario.policies.at(nic);
  if (!scenario::redirects_to_cpus(policy) || policy.scaling.period_ms == 0) return nullptr;
  CpuScalerParams params;
  params.period = time_from_ms(policy.scaling.period_ms);
  params.high = policy.scaling.high;
  params.low = policy.scaling.low;
  params.patience = policy.scaling.patience;
  params.start = policy.scaling.start;
  params.most = static_cast<std::uint32_t>(scenario::cpu_redirect(policy).cpus.size());
  return std::make_unique<CpuScaler>(params);
}

}  // namespace rxpool
