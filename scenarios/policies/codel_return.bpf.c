/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * CoDel on the time that a packet's page spends in the host, per group of flows (RX hash), because there are many ways
 * through the stack and they are no single queue. The return hook measures and decides, with the control law, the units
 * (1024 ns) and the 16-bit reciprocal square root of Linux (include/net/codel_impl.h); what it decides falls on the
 * next packets of the group in the XDP hook. How late that is, is in the map `rxpool_lag`. Not here: the test of the
 * backlog against one packet. The XDP hook can leave its clock in 8 bytes of metadata, the cookie of the return hook.
 */
#include "policy.bpf.h"

#define GROUPS 256
#define MOST_DROPS 64 /* decided by one returned packet */

const volatile __u64 target_us = 500;
const volatile __u64 interval_us = 10000;
const volatile __u8 stamp = 0; /* 1: leave the clock as metadata and measure from it */

struct group {
  __u32 count;            /* drops of this spell */
  __u32 lastcount;        /* where it began */
  __u32 first_above_time; /* when the time will have been above target for an interval; 0: it is not */
  __u32 drop_next;
  __u32 rec_inv_sqrt; /* 2^16 / sqrt(count) */
  __u32 dropping;
  __u64 pending;    /* drops decided and not done */
  __u64 decided_ns; /* when the oldest of them was */
  __u64 sojourn_ns; /* last measurement */
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, GROUPS);
  __type(key, __u32);
  __type(value, struct group);
} groups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct rxpool_lag);
} rxpool_lag SEC(".maps");

RXPOOL_VERDICT_MAP;

static __always_inline __u32 codel_time(__u64 ns) {
  return ns >> 10;
}

/* One Newton step towards 1/sqrt(count): x * (3 - count * x^2) / 2 with x in units of 2^-32. */
static __always_inline void newton_step(struct group* group) {
  __u64 inverse = (__u64)group->rec_inv_sqrt << 16;
  __u64 square = inverse * inverse >> 32;
  __u64 rest = (3ULL << 32) - (__u64)group->count * square;

  group->rec_inv_sqrt = ((rest >> 2) * inverse >> 31) >> 16;
}

static __always_inline __u32 control_law(__u32 time, __u32 rec_inv_sqrt) {
  return time + (__u32)((__u64)codel_time(interval_us * 1000) * ((__u64)rec_inv_sqrt << 16) >> 32);
}

static __always_inline int above_target(struct group* group, __u32 sojourn, __u32 now) {
  if (sojourn < codel_time(target_us * 1000)) {
    group->first_above_time = 0;
    return 0;
  }
  if (!group->first_above_time) {
    group->first_above_time = now + codel_time(interval_us * 1000);
    return 0;
  }
  return (__s32)(now - group->first_above_time) > 0;
}

static __always_inline void decided(struct group* group, __u64 now_ns) {
  if (!group->pending) group->decided_ns = now_ns;
  group->pending++;
}

static __always_inline void begin_spell(struct group* group, __u32 now) {
  __u32 delta = group->count - group->lastcount;

  group->dropping = 1;
  /* after a short pause the next spell starts where the last one ended */
  if (delta > 1 && (__s32)(now - group->drop_next - 16 * codel_time(interval_us * 1000)) < 0) {
    group->count = delta;
    newton_step(group);
  } else {
    group->count = 1;
    group->rec_inv_sqrt = 0xffff;
  }
  group->lastcount = group->count;
  group->drop_next = control_law(now, group->rec_inv_sqrt);
}

/* XDP: does a drop wait for this group? */
static __always_inline int decide(struct xdp_md* ctx, __u32 hash) {
  __u32 key = hash % GROUPS, only = 0;
  struct group* group = bpf_map_lookup_elem(&groups, &key);
  struct rxpool_lag* lag;
  __u64 late;

  if (!group || !group->pending) return rxpool_verdict(XDP_PASS);
  group->pending--;
  lag = bpf_map_lookup_elem(&rxpool_lag, &only);
  if (lag) {
    late = bpf_ktime_get_ns() - group->decided_ns;
    lag->drops++;
    lag->total_ns += late;
    if (late > lag->most_ns) lag->most_ns = late;
  }
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
  __u64 now_ns = bpf_ktime_get_ns(), sojourn_ns = ctx->held_ns;
  __u32 key = ctx->rx_hash % GROUPS, now = codel_time(now_ns);
  struct group* group = bpf_map_lookup_elem(&groups, &key);
  int above, i;

  if (!group || ctx->consumer == RXPOOL_CONSUMER_XDP) return 0;
  if (stamp && ctx->cookie) sojourn_ns = now_ns - ctx->cookie;
  group->sojourn_ns = sojourn_ns;
  above = above_target(group, codel_time(sojourn_ns), now);
  if (!group->dropping) {
    if (!above) return 0;
    decided(group, now_ns);
    begin_spell(group, now);
    return 0;
  }
  if (!above) {
    group->dropping = 0;
    return 0;
  }
  for (i = 0; i < MOST_DROPS; i++) {
    if ((__s32)(now - group->drop_next) < 0) break;
    group->count++;
    newton_step(group);
    decided(group, now_ns);
    group->drop_next = control_law(group->drop_next, group->rec_inv_sqrt);
  }
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
