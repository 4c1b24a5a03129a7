// Spends a fixed number of steps on every packet and then gives a fixed verdict.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "busy.bpf.h"

const volatile __u32 verdict = XDP_DROP;

SEC("xdp")
int busy(struct xdp_md* ctx) {
  return spend_steps(ctx) == 0 ? XDP_ABORTED : verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
