// Construction of the page allocator: checks, zones, zonelists, watermarks, sizes of the per-CPU lists (PA-1..3,
// PA-40, PA-41; mm/page_alloc.c: calculate_min_free_kbytes, __setup_per_zone_wmarks, setup_per_zone_lowmem_reserve).

#include <algorithm>
#include <string>

#include "models/memory/page_allocator.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

constexpr std::uint64_t max_pages = 1ULL << 31;  // PageId is 32 bits

std::uint64_t integer_sqrt(std::uint64_t value) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = 1ULL << 31; bit != 0; bit >>= 1) {
    if ((root + bit) * (root + bit) <= value) {
      root += bit;
    }
  }
  return root;
}

std::uint64_t zone_pages(const ZoneSize& zone) {
  return (zone.bytes >> page_shift) / max_block_pages * max_block_pages;
}

std::uint64_t page_frames(const MemoryParameters& parameters) {
  parameters.validate();
  // Page 0 and its block belong to no zone; records of provider chunks follow the zones.
  std::uint64_t total = max_block_pages + parameters.provider_chunks;
  for (const NodeParameters& node : parameters.nodes) {
    for (const ZoneSize& zone : node.zones) {
      total += zone_pages(zone);
    }
  }
  return total;
}

}  // namespace

MemoryParameters MemoryParameters::single_node(std::uint64_t bytes, unsigned cpus) {
  MemoryParameters parameters;
  parameters.nodes.push_back({{{ZoneKind::normal, bytes}}});
  parameters.cpu_node.assign(cpus, 0);
  return parameters;
}

void MemoryParameters::validate() const {
  const auto range = [](const char* field, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
    if (value < low || value > high) {
      throw InputError(std::string("memory: ") + field + " is " + std::to_string(value) + ", must be " +
                       std::to_string(low) + ".." + std::to_string(high));
    }
  };
  range("number of nodes", nodes.size(), 1, 64);
  range("number of CPUs", cpu_node.size(), 1, 1024);
  range("watermark_scale_factor", watermark_scale_factor, 1, 3000);
  if (percpu_pagelist_high_fraction != 0) {
    range("percpu_pagelist_high_fraction", percpu_pagelist_high_fraction, 8, UINT32_MAX);
  }
  for (const std::uint8_t node : cpu_node) {
    range("node of a CPU", node, 0, nodes.size() - 1);
  }
  std::uint64_t total = 0;
  for (const NodeParameters& node : nodes) {
    range("number of zones of a node", node.zones.size(), 1, zone_kind_count);
    for (std::size_t i = 0; i < node.zones.size(); ++i) {
      if (i > 0 && node.zones[i].kind <= node.zones[i - 1].kind) {
        throw InputError("memory: zones of a node must be in the order dma, dma32, normal, movable, each once");
      }
      range("pages of a zone", zone_pages(node.zones[i]), max_block_pages, max_pages);
      total += zone_pages(node.zones[i]);
    }
  }
  range("pages of the host", total, max_block_pages, max_pages);
  if (kswapd.wake_latency < Time{} || kswapd.time_per_page <= Time{}) {
    throw InputError("memory: kswapd needs a wake_latency of at least 0 and a time_per_page above 0");
  }
}

PageAllocator::PageAllocator(const MemoryParameters& parameters, const MemoryPrices& prices)
    : parameters_(parameters),
      prices_(prices),
      pages_(page_frames(parameters)),
      node_count_(static_cast<unsigned>(parameters.nodes.size())) {
  build_zones();
  build_zonelists();
  set_watermarks();
  set_pcp_limits();
  for (unsigned node = 0; node < node_count_; ++node) {
    kswapds_.push_back(std::make_unique<Kswapd>(*this, node, parameters_.kswapd));
  }
}

void PageAllocator::build_zones() {
  std::size_t count = 0;
  for (const NodeParameters& node : parameters_.nodes) {
    count += node.zones.size();
  }
  zones_.reserve(count);
  PageId next = max_block_pages;
  for (unsigned node = 0; node < node_count_; ++node) {
    const auto local =
        static_cast<unsigned>(std::count(parameters_.cpu_node.begin(), parameters_.cpu_node.end(), node));
    const auto cpus = static_cast<unsigned>(parameters_.cpu_node.size());
    for (const ZoneSize& size : parameters_.nodes[node].zones) {
      ZoneParameters zone;
      zone.kind = size.kind;
      zone.node = static_cast<std::uint8_t>(node);
      zone.index = static_cast<std::uint8_t>(zones_.size());
      zone.first_page = next;
      zone.present_pages = zone_pages(size);
      zone.cpus = cpus;
      zone.local_cpus = local != 0 ? local : cpus;
      zone.release = parameters_.release;
      zones_.emplace_back(pages_, prices_, zone);
      zones_.back().set_boost_factor(parameters_.watermark_boost_factor);
      next += static_cast<PageId>(zone.present_pages);
      total_pages_ += zone.present_pages;
    }
  }
  provider_first_ = next;
}

// Nearest node first, within a node the highest zone first.
void PageAllocator::build_zonelists() {
  zonelists_.resize(node_count_);
  for (unsigned node = 0; node < node_count_; ++node) {
    std::vector<std::uint8_t>& list = zonelists_[node];
    for (const Zone& zone : zones_) {
      list.push_back(zone.parameters().index);
    }
    const auto distance = [&](std::uint8_t index) {
      const unsigned other = zones_[index].node();
      return other > node ? other - node : node - other;
    };
    std::sort(list.begin(), list.end(), [&](std::uint8_t a, std::uint8_t b) {
      if (distance(a) != distance(b)) {
        return distance(a) < distance(b);
      }
      if (zones_[a].node() != zones_[b].node()) {
        return zones_[a].node() > zones_[b].node();
      }
      return zones_[a].kind() > zones_[b].kind();
    });
  }
}

void PageAllocator::set_watermarks() {
  std::uint64_t lowmem_pages = 0;
  for (const Zone& zone : zones_) {
    lowmem_pages += zone.kind() != ZoneKind::movable ? zone.managed_pages() : 0;
  }
  min_free_kbytes_ = parameters_.min_free_kbytes;
  if (min_free_kbytes_ == 0) {
    const std::uint64_t lowmem_kbytes = lowmem_pages * (page_bytes / 1024);
    min_free_kbytes_ = std::clamp<std::uint64_t>(integer_sqrt(lowmem_kbytes * 16), 128, 262144);
  }
  const std::uint64_t pages_min = min_free_kbytes_ / (page_bytes / 1024);
  for (Zone& zone : zones_) {
    const std::uint64_t managed = zone.managed_pages();
    const std::uint64_t share = lowmem_pages != 0 ? pages_min * managed / lowmem_pages : pages_min;
    const std::uint64_t gap = std::max(share / 4, managed * parameters_.watermark_scale_factor / 10000);
    std::uint64_t min = share;
    if (zone.kind() == ZoneKind::movable) {
      min = std::clamp<std::uint64_t>(managed / 1024, swap_cluster_max, 128);
    }
    zone.set_watermarks(min, gap);
    // What requests that could use higher zones must leave in this one.
    std::uint64_t above = 0;
    for (const Zone& upper : zones_) {
      if (upper.node() != zone.node() || upper.kind() <= zone.kind()) {
        continue;
      }
      above += upper.managed_pages();
      const unsigned ratio = parameters_.lowmem_reserve_ratio[static_cast<unsigned>(zone.kind())];
      for (unsigned kind = static_cast<unsigned>(upper.kind()); kind < zone_kind_count; ++kind) {
        zone.set_lowmem_reserve(static_cast<ZoneKind>(kind), ratio != 0 ? above / ratio : 0);
      }
    }
  }
}

void PageAllocator::set_pcp_limits() {
  const unsigned fraction = parameters_.percpu_pagelist_high_fraction;
  for (Zone& zone : zones_) {
    const std::uint64_t managed = zone.managed_pages();
    const std::uint64_t low = zone.wmark_unboosted(Watermark::low);
    const unsigned local = zone.parameters().local_cpus;
    PcpLimits limits;
    limits.batch = zone_batchsize(managed);
    limits.high_min = zone_highsize(managed, low, limits.batch, local, fraction);
    limits.high_max = fraction != 0 || !parameters_.release.pcp_auto_tuning()
                          ? limits.high_min
                          : zone_highsize(managed, low, limits.batch, local, 8);
    zone.set_pcp_limits(limits);
  }
}

}  // namespace rxpool
