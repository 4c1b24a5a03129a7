#include "models/scenario/checks.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "models/scenario/control_checks.hpp"
#include "models/scenario/cpu_redirect.hpp"
#include "models/scenario/json_text.hpp"
#include "models/scenario/redirect_target.hpp"
#include "models/traffic/address.hpp"

namespace rxpool::scenario {
namespace {

template <class T>
std::string known(const Named<T>& all) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& entry : all) {
    if (shown++ == 8) return text + ", …";
    text += (text.empty() ? "" : ", ") + entry.first;
  }
  return text.empty() ? "none" : text;
}

class Checks {
 public:
  Checks(const Scenario& scenario, const Origin& origin) : s_(scenario), origin_(origin) {}

  void run() const {
    run_length();
    if (s_.cpus.empty()) fail("cpus", "missing; a host has at least one CPU: {\"cpu0\": {}}");
    if (s_.nics.empty()) fail("nics", "missing; a host has at least one NIC");
    for (const auto& [name, cpu] : s_.cpus) node("cpus." + name, cpu.node);
    memory();
    for (const auto& [name, nic_params] : s_.nics) nic("nics." + name, nic_params);
    sockets();
    xsks();
    pmds();
    for (const auto& [name, leak] : s_.faults.leaks) refer("faults.leaks." + name, "socket", name, s_.sockets);
    check_control(s_, origin_);
    for (const auto& [name, traffic] : s_.traffic) refer("traffic." + name + ".nic", "NIC", traffic.nic, s_.nics);
    for (const auto& [name, policy] : s_.policies) {
      refer("policies." + name, "NIC", name, s_.nics);
      if (redirects_to_cpus(policy)) {
        redirect_to_cpus(name, policy);
      } else if (policy.program == "redirect") {
        redirect(name, policy);
      }
    }
    if (!s_.headline.source.empty() && s_.headline.metric.empty()) {
      fail("headline.metric", "missing; a headline with a source compares a metric with its figure");
    }
  }

 private:
  [[noreturn]] void fail(const std::string& place, const std::string& problem) const { origin_.fail(place, problem); }

  template <class T>
  void refer(const std::string& place, const std::string& kind, const std::string& name, const Named<T>& all) const {
    if (name.empty()) fail(place, "missing; name a " + kind + ", known: " + known(all));
    if (!all.contains(name)) fail(place, "no " + kind + " " + in_quotes(name) + "; known: " + known(all));
  }

  void node(const std::string& place, std::uint32_t number) const {
    if (number >= s_.memory.nodes) {
      fail(place + ".node", "no NUMA node " + std::to_string(number) + "; memory.nodes is " +
                                std::to_string(s_.memory.nodes) + ", they count from 0");
    }
  }

  /// Rates and periods that are switched off by 0 and make no sense, or no picosecond, below `least`.
  void zero_or_at_least(const std::string& place, double value, double least, const std::string& text) const {
    if (value > 0 && value < least) fail(place, "is above 0 but below " + text + "; use 0 or at least " + text);
  }

  void run_length() const {
    if (!(s_.duration_ms > 0)) fail("duration_ms", "must be above 0 ms");
    zero_or_at_least("record.every_us", s_.record.every_us, 1, "1 us");
    if (s_.warmup_ms + s_.duration_ms > time_ms().max) {
      fail("duration_ms", "with warmup_ms it overflows simulated time; use at most 4600000000 ms together");
    }
  }

  void memory() const {
    const MemoryParams& m = s_.memory;
    const std::uint32_t fraction = s_.kernel.percpu_pagelist_high_fraction;
    if (fraction != 0 && fraction < 8) fail("kernel.percpu_pagelist_high_fraction", "is below 8; use 0 or at least 8");
    if (m.free_mib > m.total_mib)
      fail("memory.free_mib", "exceeds memory.total_mib, " + std::to_string(m.total_mib) + " MiB");
    if (m.llc.ways != 0 && m.llc.ddio_ways > m.llc.ways) fail("memory.llc.ddio_ways", "exceeds memory.llc.ways");
    zero_or_at_least("memory.kswapd.pages_per_ms", m.kswapd.pages_per_ms, 1e-6, "0.000001 pages/ms");
    for (const auto& [name, group] : m.cgroups) {
      if (group.memory_max_mib == 0) fail("memory.cgroups." + name + ".memory_max_mib", "missing; give a limit");
    }
    for (const auto& [name, user] : m.background) {
      const std::string place = "memory.background." + name;
      zero_or_at_least(place + ".pages_per_ms", user.pages_per_ms, 1e-6, "0.000001 pages/ms");
      node(place, user.node);
      if (user.stop_ms != 0 && user.stop_ms <= user.start_ms)
        fail(place + ".stop_ms", "is not after start_ms; 0 never stops");
    }
  }

  void ring(const std::string& place, Driver driver, std::uint32_t size) const {
    const DriverDefaults& d = driver_defaults(driver);
    const std::string name(d.name);
    if (size < d.rx_ring_min || size > d.rx_ring_max) {
      fail(place, std::to_string(size) + " is out of " + name + "'s range; use " + std::to_string(d.rx_ring_min) +
                      " … " + std::to_string(d.rx_ring_max) + " packets");
    }
    if (d.ring_power_of_two && !std::has_single_bit(size)) {
      fail(place, std::to_string(size) + " is no power of two as " + name + " needs; use " +
                      std::to_string(std::bit_floor(size)) + " or " + std::to_string(std::bit_ceil(size)));
    }
    if (size % d.ring_multiple != 0) {
      fail(place, std::to_string(size) + " is no multiple of " + std::to_string(d.ring_multiple) + " as " + name +
                      " needs; use " + std::to_string(size - size % d.ring_multiple));
    }
  }

  void nic(const std::string& place, const NicParams& p) const {
    node(place, p.node);
    ring(place + ".rx_ring", p.driver, p.rx_ring);
    if (p.irq_suspend_timeout_ns != 0 && !s_.kernel.at_least(6, 13)) {
      fail(place + ".irq_suspend_timeout_ns", "EOPNOTSUPP: no kernel before 6.13 has it; raise kernel.release");
    }
    if (p.rx_queues.empty())
      fail(place + ".rx_queues", "missing; a NIC has at least one: {\"rx0\": {\"cpu\": \"cpu0\"}}");
    for (const auto& [name, queue] : p.rx_queues) {
      const std::string at = place + ".rx_queues." + name;
      if (queue.cpu.empty())
        fail(at + ".cpu", "missing; a queue needs a CPU for its interrupt, known: " + known(s_.cpus));
      refer(at + ".cpu", "CPU", queue.cpu, s_.cpus);
      if (!queue.thread_cpu.empty()) refer(at + ".thread_cpu", "CPU", queue.thread_cpu, s_.cpus);
      ring(at + ".rx_ring", p.driver, queue.rx_ring);
      if (queue.napi_busy_poll) napi_busy_poll(at + ".napi_busy_poll", queue);
    }
    rss(place + ".rss", p);
    for (const auto& [name, rule] : p.ntuple) ntuple(place + ".ntuple." + name, rule, p);
  }

  /// What netlink would refuse (NA-47).
  void napi_busy_poll(const std::string& place, const QueueParams& queue) const {
    if (!queue.napi_threaded) fail(place, "EINVAL: only a NAPI thread can poll without end; set napi_threaded");
    if (!s_.kernel.at_least(6, 18)) fail(place, "EINVAL: no kernel before 6.18 has it; raise kernel.release");
  }

  /// What would do nothing, or what netlink would refuse for the device (NA-46, NA-48).
  void busy_poll(const std::string& place, const SocketBusyPollParams& wanted) const {
    zero_or_at_least(place + ".us", wanted.us, 1, "1 us");
    if (wanted.prefer && wanted.us == 0) {
      fail(place + ".prefer", "it would never poll; set us as well");
    }
  }

  /// What attaching the program, or its first packet, would be refused for (XD-51, XD-52).
  void redirect(const std::string& nic_name, const PolicyParams& policy) const {
    const std::string place = "policies." + nic_name + ".params.to";
    const auto to = policy.params.find("to");
    if (to == policy.params.end() || !std::holds_alternative<std::string>(to->second)) {
      fail(place, "missing; name the NIC to redirect to, known: " + known(s_.nics) + "; or CPUs in params.cpu");
    }
    const std::string& name = std::get<std::string>(to->second);
    refer(place, "NIC", name, s_.nics);
    if (const std::string refusal = redirect_refusal(s_, nic_name, name); !refusal.empty()) fail(place, refusal);
  }

  /// What writing the entries of the cpumap would be refused for (XD-30).
  void redirect_to_cpus(const std::string& nic_name, const PolicyParams& policy) const {
    const std::string place = "policies." + nic_name + ".params.";
    const CpuRedirect redirect = cpu_redirect(
        policy, [&](const std::string& param, const std::string& problem) { fail(place + param, problem); });
    for (const std::string& cpu : redirect.cpus) {
      if (s_.cpus.contains(cpu)) continue;
      fail(place + "cpu", "ENODEV: no CPU " + in_quotes(cpu) +
                              " that a cpumap entry could have its thread on; known: " + known(s_.cpus));
    }
    const ScalingParams& scaling = policy.scaling;
    const std::string agent = "policies." + nic_name + ".scaling.";
    zero_or_at_least(agent + "period_ms", scaling.period_ms, 0.001, "0.001 ms");
    if (scaling.start > redirect.cpus.size()) {
      fail(agent + "start", std::to_string(scaling.start) + " CPUs, but params.cpu names " +
                                std::to_string(redirect.cpus.size()) + "; use at most that many");
    }
    if (scaling.low > scaling.high) fail(agent + "low", "is above high: a CPU would be taken and rested in turn");
  }

  void rss(const std::string& place, const NicParams& p) const {
    const std::string& key = p.rss.key;
    const bool hex = std::all_of(key.begin(), key.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    });
    if (!hex || key.size() % 2 != 0 || key.size() < 80 || key.size() > 104) {
      fail(place + ".key", "must be 40 … 52 bytes in hexadecimal (80 … 104 digits), has " + std::to_string(key.size()) +
                               (hex ? " digits" : " characters, not all hexadecimal digits"));
    }
    if (!std::has_single_bit(p.rss.indirection_size)) {
      fail(place + ".indirection_size", std::to_string(p.rss.indirection_size) + " is no power of two; use " +
                                            std::to_string(std::bit_ceil(p.rss.indirection_size)));
    }
    double total = 0;
    for (const auto& [name, weight] : p.rss.indirection) {
      refer(place + ".indirection." + name, "RX queue", name, p.rx_queues);
      total += weight;
    }
    if (!p.rss.indirection.empty() && !(total > 0))
      fail(place + ".indirection", "all weights are 0; give one queue a weight");
  }

  void ntuple(const std::string& place, const NtupleParams& rule, const NicParams& p) const {
    if (!rule.drop) refer(place + ".queue", "RX queue", rule.queue, p.rx_queues);
    if (rule.drop && !rule.queue.empty()) fail(place + ".queue", "given beside action drop; remove one of them");
    for (const auto& [name, text] : {std::pair{"src", &rule.src}, {"dst", &rule.dst}}) {
      if (!text->empty() && !parse_address_range(*text)) {
        fail(place + "." + name,
             in_quotes(*text) +
                 " is no address or prefix without bits behind its length; write for example 198.18.0.0/16");
      }
    }
    if ((rule.src_port != 0 || rule.dst_port != 0) && rule.protocol == RuleProtocol::any) {
      fail(place + ".protocol", "is any, but the rule names a port; write tcp or udp");
    }
  }

  void sockets() const {
    std::map<std::uint16_t, std::string> ports;
    for (const auto& [name, socket] : s_.sockets) {
      const std::string place = "sockets." + name;
      refer(place + ".cpu", "CPU", socket.cpu, s_.cpus);
      if (!socket.cgroup.empty()) refer(place + ".cgroup", "group", socket.cgroup, s_.memory.cgroups);
      if (socket.port == 0) fail(place + ".port", "missing; give the local port, 1 … 65535");
      const auto [other, is_new] = ports.emplace(socket.port, name);
      if (!is_new)
        fail(place + ".port", "port " + std::to_string(socket.port) + " is taken by sockets." + other->second);
      zero_or_at_least(place + ".reader.rate_pps", socket.reader.rate_pps, 0.001, "0.001 packets/s");
      pauses(place + ".reader", socket.reader);
      busy_poll(place + ".reader.busy_poll", socket.reader.busy_poll);
    }
  }

  void pauses(const std::string& place, const WorkParams& work) const {
    for (const auto& [name, pause] : work.pauses) {
      const std::string at = place + ".pauses." + name;
      if (!(pause.for_ms > 0)) fail(at + ".for_ms", "must be above 0 ms");
      zero_or_at_least(at + ".every_ms", pause.every_ms, 0.001, "0.001 ms");
      if (pause.every_ms != 0 && pause.every_ms < pause.for_ms) {
        fail(at + ".every_ms", "is shorter than for_ms: it would never read again");
      }
    }
  }

  /// What bind(2) would be refused for (XD-41, XD-60).
  void xsks() const {
    std::map<std::pair<std::string, std::string>, std::string> bound;
    for (const auto& [name, xsk] : s_.xsks) {
      const std::string place = "xsks." + name;
      refer(place + ".nic", "NIC", xsk.nic, s_.nics);
      const NicParams& nic = s_.nics.at(xsk.nic);
      refer(place + ".queue", "RX queue", xsk.queue, nic.rx_queues);
      refer(place + ".cpu", "CPU", xsk.cpu, s_.cpus);
      const auto [other, is_new] = bound.emplace(std::pair{xsk.nic, xsk.queue}, name);
      if (!is_new) {
        fail(place + ".queue", "EBUSY: xsks." + other->second + " is bound to " + xsk.queue + " of " + xsk.nic +
                                   "; sockets that share a umem are not modelled, bind to another queue");
      }
      for (const auto& [ring, size] : {std::pair{"fill_ring", xsk.fill_ring}, {"rx_ring", xsk.rx_ring}}) {
        if (std::has_single_bit(size)) continue;
        fail(place + "." + ring, "EINVAL: " + std::to_string(size) + " is no power of two; use " +
                                     std::to_string(std::bit_floor(size)) + " or " +
                                     std::to_string(std::bit_ceil(size)));
      }
      if (xsk.zero_copy) zero_copy(place + ".mode", nic);
      pauses(place + ".application", xsk.application);
    }
  }

  /// What the driver's probe or the application's start would be refused for (PM-1, PM-5, PM-6).
  void pmds() const {
    std::map<std::pair<std::string, std::string>, std::string> taken;
    for (const auto& [name, xsk] : s_.xsks) taken.emplace(std::pair{xsk.nic, xsk.queue}, "xsks." + name);
    for (const auto& [name, pmd] : s_.pmds) {
      const std::string place = "pmds." + name;
      refer(place + ".nic", "NIC", pmd.nic, s_.nics);
      const NicParams& nic = s_.nics.at(pmd.nic);
      refer(place + ".queue", "RX queue", pmd.queue, nic.rx_queues);
      if (nic.driver == Driver::veth) {
        fail(place + ".nic", "EOPNOTSUPP: veth has no poll-mode driver; use another driver");
      }
      const auto [other, is_new] = taken.emplace(std::pair{pmd.nic, pmd.queue}, place);
      if (!is_new) {
        fail(place + ".queue",
             "EBUSY: " + other->second + " has " + pmd.queue + " of " + pmd.nic + "; take another queue");
      }
      mempool(place, pmd, nic);
      never_kernels(place, pmd, nic);
      pauses(place + ".application", pmd.application);
    }
  }

  void mempool(const std::string& place, const PmdParams& pmd, const NicParams& nic) const {
    const std::uint32_t ring = nic.rx_queues.at(pmd.queue).rx_ring;
    const std::uint32_t least = ring + (pmd.forward ? nic.tx_ring : 0) + pmd.burst;
    if (pmd.mempool >= least) return;
    fail(place + ".mempool", "ENOMEM: " + std::to_string(pmd.mempool) + " mbufs do not fill RX ring" +
                                 (pmd.forward ? ", TX ring" : "") + " and burst, and a driver without a free mbuf" +
                                 " stands still; use at least " + std::to_string(least));
  }

  /// Interrupts and programs of the kernel that the queue would have for nothing.
  void never_kernels(const std::string& place, const PmdParams& pmd, const NicParams& nic) const {
    const std::string cpu = "nics." + pmd.nic + ".rx_queues." + pmd.queue + ".cpu";
    for (const auto& [name, event] : s_.events) {
      if (!event.set.contains(cpu)) continue;
      fail("events." + name + ".set", cpu + ": " + place + " polls it, it has no interrupt to move; drop this change");
    }
    const QueueParams& queue = nic.rx_queues.at(pmd.queue);
    if (queue.napi_threaded || !queue.thread_cpu.empty() || queue.napi_busy_poll) {
      fail(place,
           "nics." + pmd.nic + ".rx_queues." + pmd.queue +
               " asks for a NAPI thread, and a queue that it polls has no NAPI; drop napi_threaded, thread_cpu " +
               "and napi_busy_poll");
    }
    const auto polled =
        std::count_if(s_.pmds.begin(), s_.pmds.end(), [&](const auto& entry) { return entry.second.nic == pmd.nic; });
    const auto policy = s_.policies.find(pmd.nic);
    if (static_cast<std::size_t>(polled) < nic.rx_queues.size() || policy == s_.policies.end()) return;
    if (policy->second.program == "none") return;
    fail("policies." + pmd.nic,
         "no queue of " + pmd.nic + " is left to the kernel, so its program never runs; remove it");
  }

  void zero_copy(const std::string& place, const NicParams& nic) const {
    const std::string driver(driver_defaults(nic.driver).name);
    if ((xdp_features(nic.driver).act & xdp_act::xsk_zerocopy) == 0) {
      fail(place, "EOPNOTSUPP: " + driver + " has no zero-copy (NETDEV_XDP_ACT_XSK_ZEROCOPY); use copy");
    }
    if (nic.driver != Driver::mlx5) {
      fail(place, "zero-copy of " + driver + " is not modelled; use copy, or driver mlx5");
    }
  }

  const Scenario& s_;
  const Origin& origin_;
};

}  // namespace

void check(const Scenario& scenario, const Origin& origin) {
  Checks(scenario, origin).run();
}

}  // namespace rxpool::scenario
