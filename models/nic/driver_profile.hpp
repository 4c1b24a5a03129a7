#pragma once
// What a driver does differently from the others, as data: its memory model and refill behaviour, and the names and the
// scope of its loss counters. Rules DR-10 to DR-36, DR-51, kernel-model §4.1 and §4.7.

#include <cstdint>
#include <memory>
#include <string_view>

#include "models/memory/page_allocator.hpp"
#include "models/memory/page_pools.hpp"
#include "models/nic/rx_buffers.hpp"
#include "models/scenario/driver_defaults.hpp"

namespace rxpool {

class Xsk;

struct DriverProfile {
  scenario::Driver driver;
  std::string_view no_descriptor;  ///< metric of packets lost to an empty ring
  bool no_descriptor_per_port;     ///< who reads it cannot tell the queues apart (DR-51)
  std::string_view alloc_failure;  ///< metric of refills without memory
  bool has_pool;                   ///< pages come from a page_pool per queue
};

const DriverProfile& driver_profile(scenario::Driver driver);

/// The memory model of one queue.
struct RxBuffersRequest {
  scenario::Driver driver;
  std::uint32_t ring_size = 0;
  std::uint32_t pool_size = 0;
  std::uint8_t node = 0;                          ///< of the queue's CPU
  bool xdp = false;                               ///< a program is or will be attached: 256 bytes of headroom
  const std::int32_t* napi_list_owner = nullptr;  ///< PP-22
  Xsk* umem = nullptr;                            ///< zero-copy AF_XDP socket whose frames it uses instead
  std::uint32_t mempool = 0;                      ///< mbufs of the poll-mode driver that has the queue; 0 the kernel
  Time mempool_put;                               ///< price of giving one of them back
};

struct RxBuffersMade {
  std::unique_ptr<RxBuffers> buffers;
  PagePool* pool = nullptr;  ///< null for drivers without one
};
RxBuffersMade make_rx_buffers(const RxBuffersRequest& request, PagePools& pools, PageAllocator& allocator);

}  // namespace rxpool
