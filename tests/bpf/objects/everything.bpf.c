/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One object with everything the loader has to understand. */
#include "policy.bpf.h"

const volatile __u32 limit = 7;
const volatile __s16 weights[3] = {1, -2, 3};
const volatile _Bool enabled = 1;
const __u32 fixed = 5; /* no knob: the compiler has folded it */
__u64 seen;
__u64 last = 0x1122334455667788;
static __u32 hidden = 3;

struct inner {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16);
  __type(key, __u32);
  __type(value, __u64);
};

struct inner inner_a SEC(".maps");
struct inner inner_b SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 4);
  __type(key, __u32);
  __array(values, struct inner);
} outer SEC(".maps") = {
    .values = {[0] = &inner_a, [2] = &inner_b},
};

struct guarded {
  __u64 before;
  struct bpf_spin_lock lock;
  __u32 after;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
  __type(key, __u32);
  __type(value, struct guarded);
} guarded_map SEC(".maps");

int second(struct xdp_md* ctx);

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 3);
  __uint(key_size, 4);
  __array(values, int(void*));
} jumps SEC(".maps") = {
    .values = {[1] = (void*)&second},
};

RXPOOL_SIGNAL_MAP;

__noinline __u32 twice(__u32 value) {
  return value * 2 + hidden;
}

static __noinline __u32 four_times(__u32 value) {
  return twice(twice(value));
}

static int each(__u32 index, void* context) {
  __u64* sum = context;

  *sum += index;
  return 0;
}

SEC("xdp")
int first(struct xdp_md* ctx) {
  __u32 key = 0;
  __u64 sum = 0, *value;
  void* map = bpf_map_lookup_elem(&outer, &key);

  bpf_loop(limit, each, &sum, 0);
  seen += sum;
  if (map) {
    value = bpf_map_lookup_elem(map, &key);
    if (value) *value += 1;
  }
  hidden += 1;
  if (!enabled) bpf_tail_call(ctx, &jumps, 1);
  return four_times(weights[1] + 3) == 16 + (hidden - 4) * 3 ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int second(struct xdp_md* ctx) {
  last += 1;
  return XDP_TX;
}

SEC("?xdp")
int with_hash(struct xdp_md* ctx) {
  enum rxpool_rss_hash_type type;
  __u32 hash = 0;

  if (bpf_xdp_metadata_rx_hash(ctx, &hash, &type)) return XDP_PASS;
  return hash & 1 ? XDP_DROP : XDP_PASS;
}

struct rxpool_return_ctx___flavour {
  __u32 cpu; /* the wrong order on purpose: the record finds the right offset */
  __u64 held_ns;
} __attribute__((preserve_access_index));

SEC("?rxpool/return")
int returned(struct rxpool_return_ctx___flavour* ctx) {
  last = ctx->held_ns + ctx->cpu;
  return 0;
}

SEC("?rxpool/return")
int returned_plain(struct rxpool_return_ctx* ctx) {
  last = ctx->cookie;
  return 0;
}

SEC("?rxpool/egress")
int egress(struct rxpool_egress_ctx* ctx) {
  void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;

  if (data + 14 > end) return XDP_DROP;
  if (ctx->ring_fill * 4 > ctx->ring_size * 3) ctx->backoff = ctx->ring_size / 2;
  return ctx->rx_hash & 1 ? XDP_PASS : bpf_redirect(7, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
