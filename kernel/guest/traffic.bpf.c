// Traffic of the guest: a generator program for live frames and a receiver whose verdict the agent changes as it goes.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "traffic.h"

struct TrafficKnobs knobs;
__u32 draw = 1;

struct {
  __uint(type, BPF_MAP_TYPE_CPUMAP);
  __uint(max_entries, 4);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct bpf_cpumap_val));
} cpus SEC(".maps");

static int judge(__u32 action) {
  if (action != XDP_REDIRECT) {
    return action;
  }
  return knobs.redirect_ifindex ? bpf_redirect(knobs.redirect_ifindex, 0)
                                : bpf_redirect_map(&cpus, knobs.redirect_cpu, 0);
}

SEC("xdp")
int receive(struct xdp_md* ctx) {
  if (!knobs.mix) {
    return judge(knobs.verdict);
  }
  draw = draw * 1664525 + 1013904223;
  switch ((draw >> 16) & 7) {
    case 0:
      return XDP_TX;
    case 1:
      return judge(XDP_REDIRECT);
    case 2:
    case 3:
    case 4:
      return XDP_PASS;
    default:
      return XDP_DROP;
  }
}

// Generic XDP copies into a page_pool only for a program that takes frames in several pieces; such a program cannot
// share the cpumap.
SEC("xdp.frags")
int receive_pieces(struct xdp_md* ctx) {
  return knobs.verdict;
}

SEC("xdp")
int generate(struct xdp_md* ctx) {
  return knobs.generate_ifindex ? bpf_redirect(knobs.generate_ifindex, 0) : XDP_DROP;
}

SEC("xdp")
int swallow(struct xdp_md* ctx) {
  return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
