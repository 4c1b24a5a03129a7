/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Approves packets while the circuit breaker is open. The breaker protects the machine against traffic that does not
 * control its congestion, so what does, or keeps the machine manageable, is approved: ARP and neighbour discovery,
 * ICMP, TCP, and UDP to `control_port`. Everything else is dropped until the breaker closes. New TCP connections (SYN)
 * are refused with `refuse_syn`. In the hard state nothing passes.
 */
#include "policy.bpf.h"

const volatile __u16 control_port = 53;
const volatile __u8 refuse_syn = 1;

RXPOOL_SIGNAL_MAP;
RXPOOL_VERDICT_MAP;

static __always_inline int approved(const struct rxpool_flow* flow) {
  if (flow->ether_type == ETH_P_ARP) return 1;
  switch (flow->protocol) {
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return 1;
    case IPPROTO_TCP:
      return !(refuse_syn && (flow->tcp_flags & RXPOOL_TCP_SYN) && !(flow->tcp_flags & RXPOOL_TCP_ACK));
    case IPPROTO_UDP:
      return flow->destination_port == bpf_htons(control_port) || flow->source_port == bpf_htons(control_port);
    default:
      return 0;
  }
}

SEC("xdp")
int breaker_approve(struct xdp_md* ctx) {
  __u32 state = rxpool_state(ctx->rx_queue_index);
  struct rxpool_flow flow;

  if (!(state & (RXPOOL_CIRCUIT_BREAKER | RXPOOL_HARD))) return rxpool_verdict(XDP_PASS);
  if ((state & RXPOOL_HARD) || rxpool_parse(ctx, &flow)) return rxpool_verdict(XDP_DROP);
  return rxpool_verdict(approved(&flow) ? XDP_PASS : XDP_DROP);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
