// Hands every packet to a CPU over a cpumap, and there spends a fixed number of steps on it before it is dropped.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "busy.bpf.h"

const volatile __u32 cpu = 1;

struct {
  __uint(type, BPF_MAP_TYPE_CPUMAP);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

SEC("xdp")
int to_busy_cpu(struct xdp_md* ctx) {
  return bpf_redirect_map(&cpus, cpu, XDP_ABORTED);
}

SEC("xdp/cpumap")
int busy_remote(struct xdp_md* ctx) {
  return spend_steps(ctx) == 0 ? XDP_ABORTED : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
