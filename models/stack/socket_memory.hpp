#pragma once
// Limits that sockets share: net.ipv4.udp_mem over all UDP sockets of a host, memory.max over the sockets of a control
// group. Both count pages that the sockets have taken for what is queued, never the pages behind it. Rules SK-35 and
// SK-36. Leaves out: the per-CPU reserve of the global count, memory.high and its pressure on TCP windows, what else a
// group is charged for.

#include <cstdint>

namespace rxpool {

/// net.ipv4.udp_mem, in pages, and udp_memory_allocated.
struct UdpMemory {
  std::uint64_t least = ~std::uint64_t{0};  ///< udp_mem[0]: beyond it only sockets with almost nothing get more
  std::uint64_t most = ~std::uint64_t{0};   ///< udp_mem[2]: beyond it nobody does
  std::uint64_t pages = 0;
};

/// A memory control group, as far as its sockets go.
struct MemoryCgroup {
  std::uint64_t max_pages = ~std::uint64_t{0};  ///< memory.max
  std::uint64_t pages = 0;                      ///< memory.stat: sock
  std::uint64_t max_events = 0;                 ///< memory.events: max

  bool has_room(std::uint64_t more) const { return pages + more <= max_pages; }
};

}  // namespace rxpool
