#pragma once
// What each driver sets up before anyone configures it: ring sizes, interrupt moderation, RSS table, link. One row per
// driver (kernel-model §4.1, NA-51, RS-10). Numbers marked (gk) are general knowledge without a rule in the reference,
// and the on-NIC buffers are model parameters. How drivers behave (refill, failed allocation) is models/nic's.

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace rxpool::scenario {

enum class Driver { mlx5, mlx5_striding, ixgbe, i40e, ice, mlx4, virtio_net, vmxnet3, veth };

/// How a driver's default page_pool size follows from its ring.
enum class PoolSizeRule {
  none,       ///< no page_pool: half-page flip or page fragments (DR-20, kernel-model §4.5)
  ring,       ///< one per descriptor
  half_ring,  ///< 64 pages per WQE of 128 packets (DR-15)
  fixed_256,  ///< veth (DR-31)
};

struct DriverDefaults {
  Driver driver;
  std::string_view name;
  std::uint32_t rx_ring;        ///< packets (kernel-model §4.1)
  std::uint32_t rx_ring_min;    ///< packets (gk)
  std::uint32_t rx_ring_max;    ///< packets (kernel-model §4.1)
  std::uint32_t ring_multiple;  ///< ring sizes are multiples of this (gk)
  bool ring_power_of_two;
  std::uint32_t rx_usecs;          ///< us (NA-51)
  std::uint32_t rx_frames;         ///< packets (NA-51)
  bool adaptive_rx;                ///< NA-51
  std::uint32_t indirection_size;  ///< entries (RS-10)
  double link_gbps;
  std::uint32_t stats_block_usecs;  ///< us between two updates of its counters; 0: whenever someone reads (DR-50)
  double buffer_kib;                ///< on-NIC packet buffer; 0 for devices without one
  PoolSizeRule pool_size;
};

// clang-format off
inline constexpr std::array<DriverDefaults, 9> driver_table{{
    // driver               name             ring  min   max   mult  pow2   usecs frames adaptive rss  gbps   stats buffer pool
    {Driver::mlx5,          "mlx5",          1024,   4,  8192,   1,  true,  16,   32,    true,    128, 100,      0, 256, PoolSizeRule::ring},       // DR-12, NA-51, RS-10
    {Driver::mlx5_striding, "mlx5_striding", 1024, 512,  8192,   1,  true,  16,   32,    true,    128, 100,      0, 256, PoolSizeRule::half_ring},  // DR-15: 8 WQEs of 128, minimum 4
    {Driver::ixgbe,         "ixgbe",          512,  64,  4096,   8,  false, 50,    0,    true,    128,  10,      0, 512, PoolSizeRule::none},       // DR-20
    {Driver::i40e,          "i40e",           512,  64,  4096,  32,  false, 50,    0,    true,    512,  40,      0, 512, PoolSizeRule::none},       // DR-20
    {Driver::ice,           "ice",           2048,  64,  8160,  32,  false, 50,    0,    true,    512, 100,      0, 512, PoolSizeRule::ring},       // kernel-model §4.3
    {Driver::mlx4,          "mlx4",          1024,  64,  8192,   1,  true,  16,   44,    true,    128,  40, 250000, 512, PoolSizeRule::none},       // kernel-model §4.4; moderation (gk); STATS_DELAY, DR-50
    {Driver::virtio_net,    "virtio_net",     256,   2,  1024,   1,  true,   0,    0,    false,   128,  10,      0,   0, PoolSizeRule::none},       // kernel-model §4.5
    {Driver::vmxnet3,       "vmxnet3",       1024,  32,  4096,  32,  false,  0,    0,    false,   128,  10,      0,   0, PoolSizeRule::ring},       // (gk)
    {Driver::veth,          "veth",           256, 256,   256,   1,  true,   0,    0,    false,   128, 100,      0,   0, PoolSizeRule::fixed_256},  // DR-31
}};
// clang-format on

constexpr const DriverDefaults& driver_defaults(Driver driver) {
  return driver_table[static_cast<std::size_t>(driver)];
}

constexpr std::uint32_t default_pool_size(Driver driver, std::uint32_t rx_ring) {
  switch (driver_defaults(driver).pool_size) {
    case PoolSizeRule::ring:
      return rx_ring;
    case PoolSizeRule::half_ring:
      return rx_ring / 2;
    case PoolSizeRule::fixed_256:
      return 256;
    case PoolSizeRule::none:
      break;
  }
  return 0;
}

}  // namespace rxpool::scenario
