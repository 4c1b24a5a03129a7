#pragma once
// The memory that a host's sockets share: what the kernel allows them at boot (SK-35, TC-35) and the control groups of
// a scenario (SK-36).

#include <cstdint>
#include <map>
#include <string>

#include "models/memory/page_allocator.hpp"
#include "models/scenario/scenario.hpp"
#include "models/stack/socket_memory.hpp"

namespace rxpool {

/// nr_free_buffer_pages: what the zones manage beyond their high watermarks, whoever has it now.
std::uint64_t nr_free_buffer_pages(PageAllocator& allocator);
/// net.ipv4.udp_mem: the scenario's, or what the kernel computes from `buffer_pages`.
UdpMemory udp_memory(const scenario::KernelParams& kernel, std::uint64_t buffer_pages);
std::map<std::string, MemoryCgroup> memory_cgroups(const scenario::MemoryParams& memory);
/// The group of that name; null for none.
MemoryCgroup* cgroup_of(std::map<std::string, MemoryCgroup>& cgroups, const std::string& name);

}  // namespace rxpool
