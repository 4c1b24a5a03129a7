#include "models/host/socket_memory.hpp"

#include <algorithm>

namespace rxpool {

std::uint64_t nr_free_buffer_pages(PageAllocator& allocator) {
  std::uint64_t pages = 0;
  for (const Zone& zone : allocator.zones()) {
    pages += zone.managed_pages() - std::min(zone.managed_pages(), zone.wmark_pages(Watermark::high));
  }
  return pages;
}

UdpMemory udp_memory(const scenario::KernelParams& kernel, std::uint64_t buffer_pages) {
  // __udp_init_mem: an eighth is the middle one, the others a quarter less and half as much again.
  constexpr std::uint64_t least = 128;
  UdpMemory memory;
  memory.least = kernel.udp_mem_pages;
  if (memory.least == 0) memory.least = std::max(buffer_pages / 8, least) / 4 * 3;
  memory.most = memory.least * 2;
  return memory;
}

std::map<std::string, MemoryCgroup> memory_cgroups(const scenario::MemoryParams& memory) {
  std::map<std::string, MemoryCgroup> cgroups;
  for (const auto& [name, params] : memory.cgroups) {
    cgroups[name].max_pages = static_cast<std::uint64_t>(params.memory_max_mib * 256);
  }
  return cgroups;
}

MemoryCgroup* cgroup_of(std::map<std::string, MemoryCgroup>& cgroups, const std::string& name) {
  const auto found = cgroups.find(name);
  return found == cgroups.end() ? nullptr : &found->second;
}

}  // namespace rxpool
