#pragma once
// What each driver can do with XDP (netlink xdp-features, NETDEV_XDP_ACT_*) and its transmit ring (XD-50, XD-51). The
// bits are the kernel's; a driver that offers NDO_XMIT only while a program is attached says so in `target`.

#include <array>
#include <cstdint>

#include "models/scenario/driver_defaults.hpp"

namespace rxpool::scenario {

namespace xdp_act {
inline constexpr std::uint32_t basic = 1;  ///< ABORTED, DROP, PASS, TX
inline constexpr std::uint32_t redirect = 2;
inline constexpr std::uint32_t ndo_xmit = 4;
inline constexpr std::uint32_t xsk_zerocopy = 8;
inline constexpr std::uint32_t rx_sg = 32;
inline constexpr std::uint32_t ndo_xmit_sg = 64;
}  // namespace xdp_act

/// When packets can be redirected to it.
enum class RedirectTarget : std::uint8_t {
  never,         ///< no ndo_xdp_xmit: -EOPNOTSUPP
  with_program,  ///< transmit queues exist while a program is attached: -ENXIO without
  always,
};

struct XdpFeatures {
  Driver driver;
  std::uint32_t act;  ///< xdp_act bits with a program attached
  RedirectTarget target;
  bool shares_queues;     ///< with fewer queues than CPUs: under a lock; otherwise -ENXIO (XD-52)
  std::uint32_t tx_ring;  ///< default descriptors of a transmit queue
};

// clang-format off
inline constexpr std::array<XdpFeatures, 9> xdp_table{{
    {Driver::mlx5,          xdp_act::basic | xdp_act::redirect | xdp_act::ndo_xmit | xdp_act::xsk_zerocopy | xdp_act::rx_sg | xdp_act::ndo_xmit_sg, RedirectTarget::with_program, false, 1024},
    {Driver::mlx5_striding, xdp_act::basic | xdp_act::redirect | xdp_act::ndo_xmit | xdp_act::xsk_zerocopy | xdp_act::rx_sg | xdp_act::ndo_xmit_sg, RedirectTarget::with_program, false, 1024},
    {Driver::ixgbe,         xdp_act::basic | xdp_act::redirect | xdp_act::ndo_xmit | xdp_act::xsk_zerocopy,                                          RedirectTarget::with_program, true,  512},
    {Driver::i40e,          xdp_act::basic | xdp_act::redirect | xdp_act::ndo_xmit | xdp_act::xsk_zerocopy | xdp_act::rx_sg,                         RedirectTarget::with_program, false, 512},
    {Driver::ice,           xdp_act::basic | xdp_act::redirect | xdp_act::ndo_xmit | xdp_act::xsk_zerocopy | xdp_act::rx_sg | xdp_act::ndo_xmit_sg,  RedirectTarget::with_program, true,  256},
    {Driver::mlx4,          xdp_act::basic | xdp_act::redirect,                                                                                     RedirectTarget::never,        false, 1024},
    {Driver::virtio_net,    xdp_act::basic | xdp_act::redirect | xdp_act::ndo_xmit | xdp_act::xsk_zerocopy | xdp_act::rx_sg | xdp_act::ndo_xmit_sg,  RedirectTarget::with_program, true,  256},
    {Driver::vmxnet3,       xdp_act::basic | xdp_act::redirect | xdp_act::ndo_xmit,                                                                 RedirectTarget::always,       true,  512},
    {Driver::veth,          xdp_act::basic | xdp_act::redirect | xdp_act::ndo_xmit | xdp_act::rx_sg | xdp_act::ndo_xmit_sg,                         RedirectTarget::with_program, true,  256},
}};
// clang-format on

constexpr const XdpFeatures& xdp_features(Driver driver) {
  return xdp_table[static_cast<std::size_t>(driver)];
}

}  // namespace rxpool::scenario
