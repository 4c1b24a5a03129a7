// Spends a fixed number of steps on every packet and then gives a fixed verdict: the capacity of a queue is set by the
// scenario, not by what the host happens to be able to do.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile __u32 steps = 500;
const volatile __u32 verdict = XDP_DROP;

SEC("xdp")
int busy(struct xdp_md* ctx) {
  __u32 value = ctx->rx_queue_index + 1;
  for (__u32 i = 0; i < 4096; ++i) {
    if (i >= steps) {
      break;
    }
    value = value * 1664525 + 1013904223;
    asm volatile("" : "+r"(value));
  }
  return value == 0 ? XDP_ABORTED : verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
