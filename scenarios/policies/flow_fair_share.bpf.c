/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Shares the pages of the pool fairly between flows. Every packet that goes up counts against its flow's bucket until
 * its buffer comes home (return hook); while the circuit breaker is open, or always with `always`, a flow that holds
 * its share already is dropped. The share is the signal's limit divided by the number of buckets that hold anything,
 * `share` where the signal has no limit. On a kernel without the return hook the counts are halved every `window_ns`
 * instead, which turns "pages held" into "packets lately".
 */
#include "policy.bpf.h"

#define BUCKETS 1024

const volatile __u32 share = 16;
const volatile __u32 always = 0;
const volatile __u64 window_ns = 10000000;
const volatile __u8 return_hook = 1; /* 0: halve by time */

struct state {
  __u64 halved_ns;
  __s32 active; /* buckets that hold something */
  __s32 held[BUCKETS];
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct state);
} flows SEC(".maps");

RXPOOL_SIGNAL_MAP;
RXPOOL_VERDICT_MAP;

/* bpf_loop hands on nothing but stack memory, hence the pointer to a pointer */
static long halve(__u32 index, struct state** context) {
  struct state* state = *context;
  __s32* held = &state->held[index & (BUCKETS - 1)];

  if (*held == 1) state->active--;
  *held /= 2;
  return 0;
}

static __always_inline __u32 fair_share(__u32 queue, __s32 active) {
  const volatile struct rxpool_signal* signal = bpf_map_lookup_elem(&rxpool_signal, &queue);
  __u32 pages;

  if (!signal || !(signal->valid & RXPOOL_VALID_LIMIT) || active <= 0) return share;
  pages = signal->limit / (__u32)active;
  return pages ? pages : 1;
}

static __always_inline int decide(struct xdp_md* ctx, __u32 hash) {
  __u32 zero = 0, queue = ctx->rx_queue_index;
  struct state* state = bpf_map_lookup_elem(&flows, &zero);
  __s32* held;

  if (!state) return rxpool_verdict(XDP_PASS);
  if (!return_hook) {
    __u64 now = bpf_ktime_get_ns();

    if (now - state->halved_ns >= window_ns) {
      state->halved_ns = now;
      bpf_loop(BUCKETS, halve, &state, 0);
    }
  }
  held = &state->held[hash & (BUCKETS - 1)];
  if ((always || (rxpool_state(queue) & RXPOOL_CIRCUIT_BREAKER)) && *held >= (__s32)fair_share(queue, state->active))
    return rxpool_verdict(XDP_DROP);
  if (*held == 0) __sync_fetch_and_add(&state->active, 1);
  __sync_fetch_and_add(held, 1);
  return rxpool_verdict(XDP_PASS);
}

SEC("?xdp")
int flow_fair_share(struct xdp_md* ctx) {
  enum rxpool_rss_hash_type type = 0;
  __u32 hash = 0;

  if (bpf_xdp_metadata_rx_hash(ctx, &hash, &type)) return rxpool_verdict(XDP_PASS);
  return decide(ctx, hash);
}

SEC("xdp")
int flow_fair_share_soft(struct xdp_md* ctx) {
  return decide(ctx, rxpool_hash_of_packet(ctx));
}

SEC("?rxpool/return")
int flow_fair_share_return(struct rxpool_return_ctx* ctx) {
  __u32 zero = 0;
  struct state* state = bpf_map_lookup_elem(&flows, &zero);
  __s32* held;

  /* a packet that the driver itself dropped was never counted */
  if (!state || ctx->consumer == RXPOOL_CONSUMER_XDP) return 0;
  held = &state->held[ctx->rx_hash & (BUCKETS - 1)];
  if (*held <= 0) return 0;
  if (*held == 1) __sync_fetch_and_add(&state->active, -1);
  __sync_fetch_and_add(held, -1);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
