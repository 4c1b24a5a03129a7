#pragma once
// Contexts of the hooks that exist only here, as the program sees them (policy.bpf.h declares the same structures for
// programs), and the 64-byte signal. A test compiles both and compares sizes and offsets.

#include <cstdint>

namespace rxpool::bpf {

struct Signal {
  std::uint32_t abi = 0;
  std::uint32_t seq = 0;  // odd while it is being written
  std::uint32_t state = 0;
  std::uint32_t valid = 0;
  std::uint64_t updated_ns = 0;
  std::uint32_t held = 0;
  std::uint32_t inflight = 0;
  std::uint32_t working_set = 0;
  std::uint32_t limit = 0;
  std::uint32_t rx_fill = 0;
  std::uint32_t rx_size = 0;
  std::uint32_t tx_fill = 0;
  std::uint32_t tx_size = 0;
  std::uint64_t hw_drops_total = 0;
};
static_assert(sizeof(Signal) == 64);

inline constexpr std::uint32_t signal_abi = 1;

namespace signal_state {
inline constexpr std::uint32_t circuit_breaker = 1, rx_overload = 2, tx_overload = 4, hard = 8;
}

/// Bits of Signal::valid.
namespace signal_valid {
inline constexpr std::uint32_t state = 1, held = 2, inflight = 4, working_set = 8, limit = 16, rx_fill = 32,
                               rx_size = 64, tx_fill = 128, tx_size = 256, hw_drops_total = 512;
}

struct ReturnContext {
  std::uint64_t held_ns = 0;
  std::uint64_t cookie = 0;  // first 8 bytes of the metadata that the XDP program left
  std::uint32_t rx_hash = 0;
  std::uint32_t rx_queue_index = 0;
  std::uint32_t bytes = 0;
  std::uint32_t consumer = 0;  // 0 XDP, 1 TX, 2 stack, 3 cpumap, 4 AF_XDP
  std::uint32_t cpu = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(ReturnContext) == 40);

struct EgressContext {
  std::uint32_t data = 0;
  std::uint32_t data_end = 0;
  std::uint32_t rx_hash = 0;
  std::uint32_t rx_queue_index = 0;
  std::uint32_t egress_ifindex = 0;
  std::uint32_t tx_queue = 0;
  std::uint32_t ring_fill = 0;
  std::uint32_t ring_size = 0;
  std::uint32_t backoff = 0;  // writable
  std::uint32_t reserved = 0;
};
static_assert(sizeof(EgressContext) == 40);

}  // namespace rxpool::bpf
