#pragma once
// How a packet can end. The values are part of the fingerprint and stable; the names are the ledger's places
// (`dropped.<hardware counter | xdp_… | skb drop reason>`). Skb drop reasons carry the kernel's names in lower case.

#include <array>
#include <cstdint>
#include <string_view>

namespace rxpool {

enum class Fate : std::uint8_t {
  rx_discards_phy,   ///< packet buffer of the NIC full
  rx_out_of_buffer,  ///< no posted descriptor; reported under the driver's own name
  rx_steering_drop,  ///< an ntuple rule with action drop
  xdp_aborted,
  xdp_drop,
  skb_alloc_failed,
  netfilter_drop,        ///< SKB_DROP_REASON_NETFILTER_DROP
  no_socket,             ///< SKB_DROP_REASON_NO_SOCKET
  unhandled_proto,       ///< not for this host or no such protocol (SKB_DROP_REASON_UNHANDLED_PROTO)
  socket_rcvbuff,        ///< SKB_DROP_REASON_SOCKET_RCVBUFF
  delivered,             ///< copied to an application
  circuit_breaker,       ///< bound for the stack without approval while the queue's breaker was open (CT-36)
  circuit_breaker_hard,  ///< bound for the stack while free pages were at the low watermark (CT-37)
  transmitted,           ///< its last bit left through a NIC
  xdp_tx_full,           ///< verdict XDP_TX, and no free descriptor (XD-10)
  tx_discards_phy,       ///< handed to a NIC whose link was down
  xdp_redirect_err,      ///< xdp_do_redirect refused it
  xdp_devmap_xmit,       ///< no descriptor or queue at the target of the redirect, or dropped by its program (XD-21)
  xdp_cpumap_enqueue,    ///< the ring of the CPU that it was redirected to was full (XD-31)
  xdp_cpumap_drop,       ///< the program on that CPU dropped it (XD-33)
  xdp_devmap_empty,      ///< redirected to all entries of a devmap without one that can be sent to (XD-24)
  tcp_old_data,          ///< SKB_DROP_REASON_TCP_OLD_DATA
  proto_mem,             ///< SKB_DROP_REASON_PROTO_MEM: tcp_mem, udp_mem, memory.max
  xdp_egress_drop,       ///< dropped by the egress program of the policy that sent it (XD-71)
  rx_queue_restart,      ///< in a ring that the driver took down (DR-40)
  tx_burst_full,         ///< a poll-mode application found no free descriptor for it (PM-4)
};
inline constexpr std::array<std::string_view, 26> fate_names = {
    "rx_discards_phy",      "rx_out_of_buffer", "rx_steering_drop",
    "xdp_aborted",          "xdp_drop",         "skb_alloc_failed",
    "netfilter_drop",       "no_socket",        "unhandled_proto",
    "socket_rcvbuff",       "delivered",        "circuit_breaker",
    "circuit_breaker_hard", "transmitted",      "xdp_tx_full",
    "tx_discards_phy",      "xdp_redirect_err", "xdp_devmap_xmit",
    "xdp_cpumap_enqueue",   "xdp_cpumap_drop",  "xdp_devmap_empty",
    "tcp_old_data",         "proto_mem",        "xdp_egress_drop",
    "rx_queue_restart",     "tx_burst_full"};

}  // namespace rxpool
