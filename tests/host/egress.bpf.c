/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sends everything out of one device; what finds its ring half full leaves by another one. */
#include "policy.bpf.h"

const volatile __u32 way = 0; /* 0: redirect, else XDP_TX */

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct bpf_devmap_val);
} devices SEC(".maps");

SEC("xdp")
int egress(struct xdp_md* ctx) {
  return way ? XDP_TX : bpf_redirect_map(&devices, 0, XDP_ABORTED);
}

SEC("?rxpool/egress")
int egress_other(struct rxpool_egress_ctx* ctx) {
  return ctx->ring_fill * 2 < ctx->ring_size ? XDP_PASS : bpf_redirect_map(&devices, 1, XDP_DROP);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
