/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The seed's feedback loop at its simplest: while somebody downstream keeps more than `pages` pages of this queue, its
 * packets are dropped before any work is spent on them. Without a signal it does nothing.
 */
#include "policy.bpf.h"

const volatile __u32 pages = 256;

RXPOOL_SIGNAL_MAP;
RXPOOL_VERDICT_MAP;

SEC("xdp")
int shed_held(struct xdp_md* ctx) {
  __u32 queue = ctx->rx_queue_index;
  const volatile struct rxpool_signal* signal = bpf_map_lookup_elem(&rxpool_signal, &queue);

  if (!signal || signal->abi != RXPOOL_SIGNAL_ABI || (signal->seq & 1) || !(signal->valid & RXPOOL_VALID_HELD))
    return rxpool_verdict(XDP_PASS);
  return rxpool_verdict(signal->held > pages ? XDP_DROP : XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
