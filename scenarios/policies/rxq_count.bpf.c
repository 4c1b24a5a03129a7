/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Counts packets, in all and per RX queue, and gives one verdict to all of them without looking at their data: the
 * program with which receive rates are measured (figures XP-1, XP-21). */
#include "policy.bpf.h"

const volatile __u32 verdict = XDP_DROP;

RXPOOL_PACKET_MAPS;

SEC("xdp")
int rxq_count(struct xdp_md* ctx) {
  __u32 key = 0;
  __u64* count = bpf_map_lookup_elem(&packets, &key);

  if (!count) return XDP_ABORTED;
  ++*count;
  key = ctx->rx_queue_index;
  count = bpf_map_lookup_elem(&queue_packets, &key);
  if (!count) return XDP_ABORTED;
  ++*count;
  return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
