/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Drops UDP to one destination port and passes the rest: the filter every driver benchmark starts from. */
#include "policy.bpf.h"

const volatile __u16 port = 9; /* discard */

RXPOOL_VERDICT_MAP;

SEC("xdp")
int drop_udp_port(struct xdp_md* ctx) {
  struct rxpool_flow flow;

  if (rxpool_parse(ctx, &flow)) return rxpool_verdict(XDP_PASS);
  if (flow.protocol == IPPROTO_UDP && flow.destination_port == bpf_htons(port)) return rxpool_verdict(XDP_DROP);
  return rxpool_verdict(XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
