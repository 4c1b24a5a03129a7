/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * An egress hook that only looks at its context and its maps, so that the kernel runs the same bytecode as a syscall
 * program: backs off between two marks of the ring, drops above, counts by queue.
 */
#include "policy.bpf.h"

const volatile __u32 low_percent = 50;
const volatile __u32 high_percent = 75;

struct queue_state {
  __u64 frames;
  __u64 dropped;
  __u32 backing_off;
  __u32 last_hash;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, struct queue_state);
} queues SEC(".maps");

SEC("?rxpool/egress")
int egress_backoff(struct rxpool_egress_ctx* ctx) {
  struct queue_state fresh = {};
  __u32 queue = ctx->tx_queue;
  struct queue_state* state = bpf_map_lookup_elem(&queues, &queue);

  if (!state) {
    bpf_map_update_elem(&queues, &queue, &fresh, BPF_NOEXIST);
    state = bpf_map_lookup_elem(&queues, &queue);
    if (!state) return XDP_ABORTED;
  }
  state->frames += 1;
  state->last_hash = ctx->rx_hash;
  if (ctx->ring_fill * 100 >= ctx->ring_size * high_percent) state->backing_off = 1;
  if (ctx->ring_fill * 100 < ctx->ring_size * low_percent) state->backing_off = 0;
  if (!state->backing_off) return XDP_PASS;
  ctx->backoff = 1;
  if (ctx->ring_fill < ctx->ring_size) return XDP_PASS;
  state->dropped += 1;
  return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
