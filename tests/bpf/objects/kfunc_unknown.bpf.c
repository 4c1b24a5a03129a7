/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Calls a kernel function that nobody has. */
#include "policy.bpf.h"

extern int bpf_no_such_function(struct xdp_md* ctx) __ksym;

SEC("xdp")
int unknown(struct xdp_md* ctx) {
  return bpf_no_such_function(ctx) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
