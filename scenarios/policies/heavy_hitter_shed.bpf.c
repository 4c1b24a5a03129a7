/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * While the RX queue is overloaded, drops the flows that take more than `share_percent` of the recent packets and
 * leaves the others alone. Flows are known by the device's RX hash: packet data is never touched, so a dropped packet
 * costs no cache miss. Counting is a count-min sketch of two rows, halved every `window` packets.
 *
 * heavy_hitter_shed takes the hash from the device (a kernel loads it only bound to one, hence the "?");
 * heavy_hitter_shed_soft hashes the 5-tuple in software, for kernels and paths without a hash.
 */
#include "policy.bpf.h"

#define CELLS 1024

const volatile __u32 share_percent = 10;
const volatile __u32 window = 4096;
const volatile __u32 always = 0; /* 1: shed without waiting for RX_OVERLOAD */

struct sketch {
  __u32 packets;
  __u32 cells[2][CELLS];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct sketch);
} sketches SEC(".maps");

RXPOOL_SIGNAL_MAP;
RXPOOL_VERDICT_MAP;

/* bpf_loop hands on nothing but stack memory, hence the pointer to a pointer */
static long halve(__u32 index, struct sketch** context) {
  struct sketch* sketch = *context;

  sketch->cells[0][index & (CELLS - 1)] >>= 1;
  sketch->cells[1][index & (CELLS - 1)] >>= 1;
  return 0;
}

static __always_inline int shed(struct xdp_md* ctx, __u32 hash) {
  __u32 zero = 0, mixed = rxpool_mix(hash), a, b, estimate;
  struct sketch* sketch = bpf_map_lookup_elem(&sketches, &zero);

  if (!sketch) return rxpool_verdict(XDP_PASS);
  a = ++sketch->cells[0][hash & (CELLS - 1)];
  b = ++sketch->cells[1][mixed & (CELLS - 1)];
  estimate = a < b ? a : b;
  if (++sketch->packets >= window) {
    bpf_loop(CELLS, halve, &sketch, 0);
    sketch->packets >>= 1;
  }
  if (!always && !(rxpool_state(ctx->rx_queue_index) & RXPOOL_RX_OVERLOAD)) return rxpool_verdict(XDP_PASS);
  if (sketch->packets < 64) /* too few to tell a share */
    return rxpool_verdict(XDP_PASS);
  if ((__u64)estimate * 100 > (__u64)sketch->packets * share_percent) return rxpool_verdict(XDP_DROP);
  return rxpool_verdict(XDP_PASS);
}

SEC("?xdp")
int heavy_hitter_shed(struct xdp_md* ctx) {
  enum rxpool_rss_hash_type type = 0;
  __u32 hash = 0;

  if (bpf_xdp_metadata_rx_hash(ctx, &hash, &type)) return rxpool_verdict(XDP_PASS);
  return shed(ctx, hash);
}

SEC("xdp")
int heavy_hitter_shed_soft(struct xdp_md* ctx) {
  return shed(ctx, rxpool_hash_of_packet(ctx));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
