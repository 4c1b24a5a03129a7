#pragma once
// Shared by the tests of models/memory: a small generator of random choices and a host with one pool.

#include <cstdint>

#include "models/memory/page_pools.hpp"

namespace rxpool {

/// splitmix64; the tests want choices, not quality.
class TestRandom {
 public:
  explicit TestRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>((next() >> 32) * n >> 32); }

 private:
  std::uint64_t state_;
};

inline constexpr std::uint64_t mib = 1ULL << 20;
inline constexpr std::uint64_t gib = 1ULL << 30;

/// One node, `cpus` CPUs, and the context of a softirq on CPU 0.
struct MemoryHost {
  explicit MemoryHost(std::uint64_t bytes = gib, unsigned cpus = 2)
      : MemoryHost(MemoryParameters::single_node(bytes, cpus)) {}
  explicit MemoryHost(const MemoryParameters& parameters, const MemoryPrices& prices = {})
      : allocator(parameters, prices), pools(allocator) {
    softirq.in_softirq = true;
  }

  MemoryContext on(std::uint16_t cpu, bool in_softirq) const {
    MemoryContext ctx;
    ctx.cpu = cpu;
    ctx.node = allocator.parameters().cpu_node[cpu];
    ctx.in_softirq = in_softirq;
    return ctx;
  }
  /// A pool whose NAPI is scheduled on CPU 0.
  PagePool& pool(PagePoolParameters parameters = {}) {
    parameters.napi_list_owner = &list_owner;
    return pools.create(parameters);
  }
  PageId take(PagePool& from, PagePlace place = PagePlace::posted) {
    const PageId page = from.alloc(softirq);
    if (page != no_page) {
      allocator.page(page).place = place;
    }
    return page;
  }
  /// Takes pages from the buddy lists, past the per-CPU lists, until `free` are left.
  void take_until(std::uint64_t free, std::size_t index = 0) {
    bool boost = false;
    while (zone(index).nr_free_pages() > free) {
      const bool far = zone(index).nr_free_pages() >= free + max_block_pages;
      if (!far || zone(index).buddy().take(max_page_order, MigrateType::unmovable, boost) == no_page) {
        zone(index).buddy().take(0, MigrateType::unmovable, boost);
      }
    }
  }
  Zone& zone(std::size_t index = 0) { return allocator.zones()[index]; }

  std::int32_t list_owner = 0;
  PageAllocator allocator;
  PagePools pools;
  MemoryContext softirq;
};

}  // namespace rxpool
