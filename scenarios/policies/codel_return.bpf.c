/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * CoDel (RFC 8289) on the time that a packet's page spends in the host, per group of flows (RX hash), because there are
 * many ways through the stack and they are no single queue. The return hook measures; the XDP hook drops, at
 * intervals that shrink with the square root of the number of drops, while the smallest time of an interval stays above
 * `target_us`. The XDP hook also leaves its clock in 8 bytes of metadata, the cookie of the return hook.
 */
#include "policy.bpf.h"

#define GROUPS 256

const volatile __u64 target_us = 500;
const volatile __u64 interval_us = 10000;
const volatile __u8 stamp = 0; /* 1: leave the clock as metadata and measure from it */

struct group {
  __u64 first_above_ns; /* when the time will have been above target for an interval; 0: it is not */
  __u64 drop_next_ns;
  __u32 count;
  __u32 inverse_root; /* 2^32 / sqrt(count) */
  __u64 dropping;
  __u64 sojourn_ns; /* last measurement */
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, GROUPS);
  __type(key, __u32);
  __type(value, struct group);
} groups SEC(".maps");

RXPOOL_VERDICT_MAP;

/* One Newton step towards 1/sqrt(count) in units of 2^-32, from the value for a neighbouring count:
 * x * (3 - count * x^2) / 2. No loop and no branch, so a verifier has nothing to enumerate. */
static __always_inline __u32 inverse_root(__u32 count, __u32 previous) {
  __u64 square = (__u64)previous * previous >> 32;
  __u64 rest = (3ULL << 32) - (__u64)count * square;

  return (rest >> 2) * previous >> 31;
}

static __always_inline __u64 control_law(__u64 now, __u32 inverse) {
  return now + (interval_us * 1000 * inverse >> 32);
}

static __always_inline int decide(struct xdp_md* ctx, __u32 hash) {
  __u32 key = hash % GROUPS;
  struct group* group = bpf_map_lookup_elem(&groups, &key);
  __u64 now = bpf_ktime_get_ns();

  if (!group) return rxpool_verdict(XDP_PASS);
  if (!group->first_above_ns || now < group->first_above_ns) {
    group->dropping = 0;
    return rxpool_verdict(XDP_PASS);
  }
  if (!group->dropping) {
    group->dropping = 1;
    /* after a short pause the next spell starts where the last one ended */
    if (group->count > 2 && now - group->drop_next_ns < 8 * interval_us * 1000) {
      group->count -= 2;
      group->inverse_root = inverse_root(group->count, group->inverse_root);
    } else {
      group->count = 1;
      group->inverse_root = ~0U;
    }
    group->drop_next_ns = control_law(now, group->inverse_root);
    return rxpool_verdict(XDP_DROP);
  }
  if (now < group->drop_next_ns) return rxpool_verdict(XDP_PASS);
  group->count++;
  group->inverse_root = inverse_root(group->count, group->inverse_root);
  group->drop_next_ns = control_law(group->drop_next_ns, group->inverse_root);
  return rxpool_verdict(XDP_DROP);
}

static __always_inline void leave_stamp(struct xdp_md* ctx) {
  __u64* cookie;

  if (!stamp || bpf_xdp_adjust_meta(ctx, -(int)sizeof(*cookie))) return;
  cookie = (void*)(long)ctx->data_meta;
  if ((void*)(cookie + 1) <= (void*)(long)ctx->data) *cookie = bpf_ktime_get_ns();
}

SEC("?xdp")
int codel_return(struct xdp_md* ctx) {
  enum rxpool_rss_hash_type type = 0;
  __u32 hash = 0;
  int verdict;

  if (bpf_xdp_metadata_rx_hash(ctx, &hash, &type)) return rxpool_verdict(XDP_PASS);
  verdict = decide(ctx, hash);
  if (verdict == XDP_PASS) leave_stamp(ctx);
  return verdict;
}

SEC("xdp")
int codel_return_soft(struct xdp_md* ctx) {
  int verdict = decide(ctx, rxpool_hash_of_packet(ctx));

  if (verdict == XDP_PASS) leave_stamp(ctx);
  return verdict;
}

SEC("?rxpool/return")
int codel_return_measure(struct rxpool_return_ctx* ctx) {
  __u64 now = bpf_ktime_get_ns(), sojourn = ctx->held_ns;
  __u32 key = ctx->rx_hash % GROUPS;
  struct group* group = bpf_map_lookup_elem(&groups, &key);

  if (!group || ctx->consumer == RXPOOL_CONSUMER_XDP) return 0;
  if (stamp && ctx->cookie) sojourn = now - ctx->cookie;
  group->sojourn_ns = sojourn;
  if (sojourn < target_us * 1000)
    group->first_above_ns = 0;
  else if (!group->first_above_ns)
    group->first_above_ns = now + interval_us * 1000;
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
