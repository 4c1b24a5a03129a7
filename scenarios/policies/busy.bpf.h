// Work that costs a fixed number of steps: the capacity of a CPU is set by the scenario, not by what the host happens
// to be able to do.
#ifndef RXPOOL_POLICIES_BUSY_BPF_H
#define RXPOOL_POLICIES_BUSY_BPF_H

#include <linux/bpf.h>

const volatile __u32 steps = 500;

/// Spends the steps on a packet; never 0 in practice, but the compiler cannot know.
static __attribute__((always_inline)) inline __u32 spend_steps(struct xdp_md* ctx) {
  __u32 value = ctx->rx_queue_index + 1;
  for (__u32 i = 0; i < 4096; ++i) {
    if (i >= steps) {
      break;
    }
    value = value * 1664525 + 1013904223;
    asm volatile("" : "+r"(value));
  }
  return value;
}

#endif
