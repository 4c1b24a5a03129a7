/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* rxq_count that also reads the Ethernet header, and swaps its addresses before XDP_TX: the program with which rates of
 * touching and of sending back are measured (figures XP-1, XP-14). */
#include "policy.bpf.h"

const volatile __u32 verdict = XDP_DROP;

RXPOOL_PACKET_MAPS;

static __always_inline void swap_addresses(__u16* mac) {
  for (int i = 0; i < 3; ++i) {
    const __u16 source = mac[i + 3];

    mac[i + 3] = mac[i];
    mac[i] = source;
  }
}

SEC("xdp")
int rxq_read(struct xdp_md* ctx) {
  void* data_end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = (void*)(long)ctx->data;
  __u32 key = 0;
  __u64* count = bpf_map_lookup_elem(&packets, &key);

  if (!count || (void*)(eth + 1) > data_end) return XDP_ABORTED;
  ++*count;
  key = ctx->rx_queue_index;
  count = bpf_map_lookup_elem(&queue_packets, &key);
  if (!count) return XDP_ABORTED;
  ++*count;
  if (bpf_ntohs(eth->h_proto) < 0x0600) return XDP_ABORTED; /* 802.3 without a type */
  if (verdict == XDP_TX) swap_addresses((__u16*)eth);
  return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
