/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Relocates against a kernel type, which does not exist in a simulated host. */
#include "policy.bpf.h"

struct sk_buff {
  __u32 len;
} __attribute__((preserve_access_index));

SEC("xdp")
int foreign(struct xdp_md* ctx) {
  struct sk_buff* skb = (void*)(long)ctx->data;

  return skb->len ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
