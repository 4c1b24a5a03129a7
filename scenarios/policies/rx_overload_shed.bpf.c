/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Drops a share of the packets while the RX queue is overloaded, before any work is spent on them: none at
 * `low_percent` filling of the ring, `max_percent` of them at a full ring, a straight line between. Chooses at random,
 * so that every flow loses the same share. Hosts that cannot measure the filling shed `max_percent` while RX_OVERLOAD
 * is on.
 */
#include "policy.bpf.h"

const volatile __u32 low_percent = 50;
const volatile __u32 max_percent = 90;

RXPOOL_SIGNAL_MAP;
RXPOOL_VERDICT_MAP;

#define FILL (RXPOOL_VALID_RX_FILL | RXPOOL_VALID_RX_SIZE)

static __always_inline __u32 shed_percent(const volatile struct rxpool_signal* signal) {
  __u32 fill, size = signal->rx_size, percent;

  if ((signal->valid & FILL) != FILL || !size || low_percent >= 100) return max_percent;
  fill = signal->rx_fill;
  percent = (__u64)fill * 100 / size;
  if (percent <= low_percent) return 0;
  if (percent > 100) percent = 100;
  return (percent - low_percent) * max_percent / (100 - low_percent);
}

SEC("xdp")
int rx_overload_shed(struct xdp_md* ctx) {
  __u32 queue = ctx->rx_queue_index;
  const volatile struct rxpool_signal* signal = bpf_map_lookup_elem(&rxpool_signal, &queue);

  if (!signal || signal->abi != RXPOOL_SIGNAL_ABI || (signal->seq & 1) || !(signal->state & RXPOOL_RX_OVERLOAD))
    return rxpool_verdict(XDP_PASS);
  if (bpf_get_prandom_u32() % 100 < shed_percent(signal)) return rxpool_verdict(XDP_DROP);
  return rxpool_verdict(XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
