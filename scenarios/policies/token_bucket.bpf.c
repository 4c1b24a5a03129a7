/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A token bucket per flow (5-tuple): rate_pps packets per second, bursts of at most `burst`. Flows beyond the table
 * pass uncounted. The state of a flow is kept in nanoseconds of credit, so nothing is lost to rounding.
 */
#include "policy.bpf.h"

const volatile __u64 rate_pps = 10000;
const volatile __u64 burst = 32;

struct bucket {
  __u64 credit_ns;
  __u64 seen_ns;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, struct rxpool_flow);
  __type(value, struct bucket);
} buckets SEC(".maps");

RXPOOL_VERDICT_MAP;

SEC("xdp")
int token_bucket(struct xdp_md* ctx) {
  __u64 now = bpf_ktime_get_ns(), cost, limit, credit;
  struct rxpool_flow flow;
  struct bucket* bucket;

  if (rxpool_parse(ctx, &flow) || !rate_pps) return rxpool_verdict(XDP_PASS);
  flow.tcp_flags = 0;
  cost = 1000000000 / rate_pps;
  limit = cost * burst;
  bucket = bpf_map_lookup_elem(&buckets, &flow);
  if (!bucket) {
    struct bucket fresh = {.credit_ns = limit > cost ? limit - cost : 0, .seen_ns = now};

    bpf_map_update_elem(&buckets, &flow, &fresh, BPF_NOEXIST);
    return rxpool_verdict(XDP_PASS);
  }
  credit = bucket->credit_ns + (now - bucket->seen_ns);
  if (credit > limit) credit = limit;
  bucket->seen_ns = now;
  if (credit < cost) {
    bucket->credit_ns = credit;
    return rxpool_verdict(XDP_DROP);
  }
  bucket->credit_ns = credit - cost;
  return rxpool_verdict(XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
