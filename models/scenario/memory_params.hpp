#pragma once
// `memory`: the size of each NUMA node, what else uses it, and how fast it is won back (kernel-model §2). kswapd's
// latency and rate are model parameters, not kernel constants (PA-51). The LLC's shape comes from the calibration file
// unless it is set here.

#include <cstdint>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

struct KswapdParams {
  double wake_latency_us = 50;
  double pages_per_ms = 200;
};

inline void fields(FieldVisitor& v, KswapdParams& p) {
  v.number("wake_latency_us", p.wake_latency_us, {0, 1e7, "us"},
           "From the wake-up to the first reclaimed page (PA-51).");
  v.number("pages_per_ms", p.pages_per_ms, {0, 1e6, "pages/ms"}, "Rate of reclaim; 0 reclaims nothing.");
}

/// Something else that takes pages: a page cache being filled, an application that grows.
struct BackgroundParams {
  std::uint32_t node = 0;
  double start_ms = 0;
  double stop_ms = 0;
  double pages_per_ms = 0;
  double hold_ms = 0;
  double limit_mib = 0;
  bool reclaimable = false;
  bool blocking = true;
};

inline void fields(FieldVisitor& v, BackgroundParams& p) {
  v.number("node", p.node, {0, 63}, "NUMA node whose pages it takes.");
  v.number("start_ms", p.start_ms, time_ms(), "When it starts to take pages.");
  v.number("stop_ms", p.stop_ms, time_ms(), "When it stops taking pages; 0 never.");
  v.number("pages_per_ms", p.pages_per_ms, {0, 1e6, "pages/ms"}, "Rate at which it takes order-0 pages.");
  v.number("hold_ms", p.hold_ms, time_ms(), "How long it keeps a page; 0 until the end or until it is reclaimed.");
  v.number("limit_mib", p.limit_mib, {0, 1e7, "MiB"}, "Most it holds at a time; 0 no limit.");
  v.flag("reclaimable", p.reclaimable,
         "Whether kswapd may take its pages back (page cache) or not (anonymous memory).");
  v.flag("blocking", p.blocking, "Whether its allocations may block, reclaim and call the OOM killer (PA-52).");
}

struct LlcParams {
  double mib = 0;
  std::uint32_t ways = 0;
  std::uint32_t ddio_ways = 0;
};

inline void fields(FieldVisitor& v, LlcParams& p) {
  v.number("mib", p.mib, {0, 4096, "MiB"}, "Size of the last-level cache; 0 takes the calibration's.");
  v.number("ways", p.ways, {0, 64, "ways"}, "Associativity of the last-level cache; 0 takes the calibration's.");
  v.number("ddio_ways", p.ddio_ways, {0, 64, "ways"}, "Ways that DMA may allocate in; 0 takes the calibration's.");
}

struct CgroupParams {
  double memory_max_mib = 0;
};

inline void fields(FieldVisitor& v, CgroupParams& p) {
  v.number("memory_max_mib", p.memory_max_mib, {0, 1e7, "MiB"},
           "memory.max; only what its sockets queue is charged to the group. Required.");
}

struct MemoryParams {
  std::uint32_t total_mib = 4096;
  std::uint32_t nodes = 1;
  std::uint32_t free_mib = 0;
  KswapdParams kswapd;
  Named<BackgroundParams> background;
  Named<CgroupParams> cgroups;
  LlcParams llc;
  bool allocator_cost = true;
};

inline void fields(FieldVisitor& v, MemoryParams& p) {
  v.number("total_mib", p.total_mib, {16, 1048576, "MiB"}, "Memory of each NUMA node, one NORMAL zone.");
  v.number("nodes", p.nodes, {1, 64}, "Number of NUMA nodes.");
  v.number("free_mib", p.free_mib, {0, 1048576, "MiB"}, "Free memory of each node at the start; 0 all of it.");
  v.object("kswapd", p.kswapd, "The reclaim thread of each node.");
  v.children("background", p.background, "Other users of memory.");
  v.children("cgroups", p.cgroups, "Memory control groups of sockets.");
  v.object("llc", p.llc, "The last-level cache that DMA writes into.");
  v.flag("allocator_cost", p.allocator_cost,
         "Whether the page allocator's work takes time; off shows what a path could do without it.");
}

}  // namespace rxpool::scenario
