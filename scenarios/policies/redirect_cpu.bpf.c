/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Spreads packets over other CPUs by flow hash through a CPUMAP, so that the RX CPU only drains its ring. The entries
 * of `cpus` (queue size each) are set by user space; a flow whose entry is missing stays on this CPU. On the other CPU
 * redirect_cpu_remote drops UDP to `drop_port`, if that is set: work that need not be done on the RX CPU.
 */
#include "policy.bpf.h"

const volatile __u32 cpus_used = 1;
const volatile __u32 first_cpu = 0;
const volatile __u16 drop_port = 0;

struct {
  __uint(type, BPF_MAP_TYPE_CPUMAP);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

RXPOOL_VERDICT_MAP;

SEC("xdp")
int redirect_cpu(struct xdp_md* ctx) {
  struct rxpool_flow flow;

  if (rxpool_parse(ctx, &flow) || !cpus_used) return rxpool_verdict(XDP_PASS);
  return rxpool_verdict(bpf_redirect_map(&cpus, first_cpu + rxpool_flow_hash(&flow) % cpus_used, XDP_PASS));
}

SEC("xdp/cpumap")
int redirect_cpu_remote(struct xdp_md* ctx) {
  struct rxpool_flow flow;

  if (!drop_port || rxpool_parse(ctx, &flow)) return XDP_PASS;
  return flow.protocol == IPPROTO_UDP && flow.destination_port == bpf_htons(drop_port) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
