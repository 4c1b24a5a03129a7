#pragma once
// `kernel`: the release whose rules apply and the sysctls of the receive path, with the kernel's own names and defaults
// (kernel-model §0, §9). Zero for a memory sysctl means the kernel computes it. Of the mitigations
// only retpolines can be switched; what one costs is in the calibration file.

#include <cstdint>
#include <string>

#include "models/memory/kernel_release.hpp"
#include "models/scenario/field.hpp"

namespace rxpool::scenario {

enum class Scheduler { cfs, eevdf };

struct KernelParams {
  KernelRelease release{6, 18};
  std::uint32_t hz = 1000;
  std::uint32_t netdev_budget = 300;
  std::uint32_t netdev_budget_usecs = 2000;
  std::uint32_t dev_weight = 64;
  std::uint32_t netdev_max_backlog = 1000;
  std::uint32_t skb_defer_max = 128;
  std::uint32_t gro_normal_batch = 8;
  std::uint32_t rmem_default = 212992;
  std::uint32_t rmem_max = 4194304;
  std::uint32_t tcp_rmem_default = 131072;
  std::uint32_t tcp_rmem_max = 33554432;
  std::uint32_t tcp_mem_pages = 0;
  std::uint32_t udp_mem_pages = 0;
  std::uint32_t min_free_kbytes = 0;
  std::uint32_t watermark_scale_factor = 10;
  std::uint32_t percpu_pagelist_high_fraction = 0;
  std::uint32_t stat_interval_ms = 1000;
  Scheduler scheduler = Scheduler::eevdf;
  bool retpoline = false;

  bool at_least(int major, int minor) const { return release >= KernelRelease{major, minor}; }
};

/// Defaults that the reference marks by release (kernel-model §0, "6.18+"), and EEVDF from 6.6 on.
inline void set_release_defaults(KernelParams& p) {
  p.skb_defer_max = p.at_least(6, 18) ? 128 : 64;
  p.rmem_max = p.at_least(6, 18) ? 4194304 : 212992;
  p.tcp_rmem_max = p.at_least(6, 18) ? 33554432 : 6291456;
  p.scheduler = p.at_least(6, 6) ? Scheduler::eevdf : Scheduler::cfs;
}

inline void fields(FieldVisitor& v, KernelParams& p) {
  v.choice<KernelRelease>("release", p.release,
                          {{"4.5", {4, 5}},
                           {"4.17", {4, 17}},
                           {"4.19", {4, 19}},
                           {"5.1", {5, 1}},
                           {"5.4", {5, 4}},
                           {"5.8", {5, 8}},
                           {"5.10", {5, 10}},
                           {"5.15", {5, 15}},
                           {"6.1", {6, 1}},
                           {"6.6", {6, 6}},
                           {"6.12", {6, 12}},
                           {"6.18", {6, 18}}},
                          "Kernel whose rules and defaults apply.");
  v.choice<std::uint32_t>("hz", p.hz, {{"100", 100}, {"250", 250}, {"300", 300}, {"1000", 1000}},
                          "CONFIG_HZ: jiffies per second, the granularity of softirq time limits (NA-11).");
  v.derive([&] {
    set_release_defaults(p);
    p.netdev_budget_usecs = 2'000'000 / p.hz;
  });
  v.number("netdev_budget", p.netdev_budget, {1, 1e6, "packets"},
           "Packets per net_rx_action before it yields (NA-11).");
  v.number("netdev_budget_usecs", p.netdev_budget_usecs, {1, 1e7, "us"},
           "Time per net_rx_action before it yields, rounded to jiffies.", "2000000 / hz");
  v.number("dev_weight", p.dev_weight, {1, 4096, "packets"}, "Packets per poll of the backlog queue (SK-22).");
  v.number("netdev_max_backlog", p.netdev_max_backlog, {0, 1e7, "packets"},
           "Limit of a CPU's input_pkt_queue (SK-20).");
  v.number("skb_defer_max", p.skb_defer_max, {0, 1e6, "skbs"},
           "Deferred frees per CPU before the reader frees itself (SK-41); 0 switches deferral off.",
           "128 from 6.18 on, 64 before");
  v.number("gro_normal_batch", p.gro_normal_batch, {1, 1e6, "segments"},
           "Segments GRO collects before delivery (SK-13).");
  v.number("rmem_default", p.rmem_default, {2304, 2147483647, "bytes"},
           "Receive buffer of a socket whose application sets none (SK-30).");
  v.number("rmem_max", p.rmem_max, {2304, 2147483647, "bytes"}, "Cap of SO_RCVBUF before it is doubled (SK-30).",
           "4194304 from 6.18 on, 212992 before");
  v.number("tcp_rmem_default", p.tcp_rmem_default, {2304, 2147483647, "bytes"},
           "Receive buffer of a TCP connection at first, tcp_rmem[1] (TC-31).");
  v.number("tcp_rmem_max", p.tcp_rmem_max, {2304, 2147483647, "bytes"},
           "What it may grow to by itself, tcp_rmem[2] (TC-34).", "33554432 from 6.18 on, 6291456 before");
  v.number("tcp_mem_pages", p.tcp_mem_pages, {0, 2147483647, "pages"},
           "Memory of all TCP connections together, tcp_mem[2]; 0 lets the kernel compute it (TC-35).");
  v.number("udp_mem_pages", p.udp_mem_pages, {0, 2147483647, "pages"},
           "Memory of all UDP sockets together, udp_mem[0]; 0 lets the kernel compute it (SK-35).");
  v.number("min_free_kbytes", p.min_free_kbytes, {0, 4194304, "KiB"},
           "vm.min_free_kbytes; 0 lets the kernel compute it from the memory size (PA-40).");
  v.number("watermark_scale_factor", p.watermark_scale_factor, {1, 3000, "per 10000"},
           "Distance between the zone's watermarks (PA-41).");
  v.number("percpu_pagelist_high_fraction", p.percpu_pagelist_high_fraction, {0, 1e6},
           "Fixed size of per-CPU page lists, 1/8 of the zone or less; 0 keeps the automatic tuning (PA-3).");
  v.number("stat_interval_ms", p.stat_interval_ms, {1, 3.6e6, "ms"}, "Period of the per-CPU list decay (PA-26).");
  v.choice<Scheduler>("scheduler", p.scheduler, {{"cfs", Scheduler::cfs}, {"eevdf", Scheduler::eevdf}},
                      "Scheduler of threads.", "eevdf from 6.6 on, cfs before");
  v.flag("retpoline", p.retpoline, "Whether indirect calls go through retpolines (DM-3).");
}

}  // namespace rxpool::scenario
