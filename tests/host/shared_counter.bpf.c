/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Lets every eighth packet pass, counted over all CPUs in one array: which ones, is a matter of the order in which the
 * CPUs come. A run that begins much before the last one counted is out of order: XDP_ABORTED.
 */
#include "policy.bpf.h"

#define LEAD_NS 500 /* work of a step before its program may take longer on one CPU than on the other */

struct shared {
  __u64 packets;
  __u64 last_ns;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct shared);
} shared SEC(".maps");

SEC("xdp")
int shared_counter(struct xdp_md* ctx) {
  __u64 now = bpf_ktime_get_ns();
  __u32 zero = 0;
  struct shared* seen = bpf_map_lookup_elem(&shared, &zero);

  if (!seen || now + LEAD_NS < seen->last_ns) return XDP_ABORTED;
  seen->last_ns = now;
  seen->packets += 1;
  return seen->packets % 8 ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
