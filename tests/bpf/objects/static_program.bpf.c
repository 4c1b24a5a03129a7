/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A static function in a program section: libbpf does not load such an object. */
#include "policy.bpf.h"

SEC("xdp")
static int hidden_program(struct xdp_md* ctx) {
  return XDP_DROP;
}

SEC("xdp")
int visible(struct xdp_md* ctx) {
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
