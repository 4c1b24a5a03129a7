/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Two classes on a device that is too slow for both: everything goes to the device in `devices[0]`; UDP to
 * `urgent_port` may use the whole transmit ring, everything else only up to `bulk_percent` of it. When the ring is
 * fuller than that, the RX queue is asked to back off, and while TX_OVERLOAD is on the other class is dropped before it
 * is redirected, which is cheaper.
 */
#include "policy.bpf.h"

const volatile __u16 urgent_port = 5060;
const volatile __u32 bulk_percent = 50;
const volatile __u32 sheds_at_rx = 1;

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bpf_devmap_val);
} devices SEC(".maps");

RXPOOL_SIGNAL_MAP;
RXPOOL_VERDICT_MAP;

static __always_inline int is_urgent(const struct rxpool_flow* flow) {
  return flow->protocol == IPPROTO_UDP && flow->destination_port == bpf_htons(urgent_port);
}

SEC("xdp")
int egress_classes(struct xdp_md* ctx) {
  struct rxpool_flow flow;

  if (rxpool_parse(ctx, &flow)) return rxpool_verdict(XDP_PASS);
  if (sheds_at_rx && !is_urgent(&flow) && (rxpool_state(ctx->rx_queue_index) & RXPOOL_TX_OVERLOAD)) {
    return rxpool_verdict(XDP_DROP);
  }
  return rxpool_verdict(bpf_redirect_map(&devices, 0, XDP_PASS));
}

/* Destination port of UDP over IPv4 without options, which is all that the fast path of this program tells apart. */
SEC("?rxpool/egress")
int egress_classes_leave(struct rxpool_egress_ctx* ctx) {
  __u32 mark = ctx->ring_size * bulk_percent / 100;
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = data;
  struct iphdr* ip = (void*)(eth + 1);
  struct udphdr* udp = (void*)(ip + 1);

  if (ctx->ring_fill < mark) return XDP_PASS;
  ctx->backoff = mark;
  if ((void*)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP) return XDP_DROP;
  return udp->dest == bpf_htons(urgent_port) && ctx->ring_fill < ctx->ring_size ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
