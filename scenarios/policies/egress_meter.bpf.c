/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Sheds at RX what a slow consumer would only hold. The return hook meters how many buffers each consumer (destination
 * port) gives back per window; the XDP hook lets as many be out as that rate works off in `target_us`, at least
 * `least`, and drops the rest before they cost anything. By Little's law a packet is dropped when it would wait longer
 * than the target; a consumer that stops altogether keeps `least` buffers. The consumer travels in 8 bytes of metadata,
 * the cookie of the return hook. A kernel has no such hook: there nothing comes home, and `return_hook` 0 lets all
 * pass.
 */
#include "policy.bpf.h"

#define CONSUMERS 4096

const volatile __u64 target_us = 5000;
const volatile __u64 window_us = 10000;
const volatile __u32 least = 128;
const volatile __u8 return_hook = 1;

struct meter {
  __u64 window_ns; /* when the one that is going on began */
  __u64 returned;  /* in it */
  __u64 rate;      /* buffers per window, mean of the last few */
  __s64 out;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, CONSUMERS);
  __type(key, __u32);
  __type(value, struct meter);
} meters SEC(".maps");

RXPOOL_VERDICT_MAP;

/* Both hooks close windows: a consumer that has stopped returns nothing that could. */
static __always_inline void close_window(struct meter* meter, __u64 now) {
  __u64 length = window_us * 1000, passed = now - meter->window_ns, per_window;

  if (passed < length) return;
  per_window = meter->returned * length / passed;
  meter->rate = meter->window_ns ? (meter->rate + per_window) / 2 : per_window;
  meter->returned = 0;
  meter->window_ns = now;
}

static __always_inline int admits(struct meter* meter) {
  __u64 room = meter->rate * target_us / window_us;

  if (room < least) room = least;
  return meter->out < (__s64)room;
}

SEC("xdp")
int egress_meter(struct xdp_md* ctx) {
  struct rxpool_flow flow;
  struct meter* meter;
  __u64* cookie;
  __u32 key;

  if (!return_hook || rxpool_parse(ctx, &flow) || !flow.destination_port) return rxpool_verdict(XDP_PASS);
  key = bpf_ntohs(flow.destination_port) & (CONSUMERS - 1);
  meter = bpf_map_lookup_elem(&meters, &key);
  if (!meter) return rxpool_verdict(XDP_PASS);
  close_window(meter, bpf_ktime_get_ns());
  if (!admits(meter)) return rxpool_verdict(XDP_DROP);
  if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*cookie))) return rxpool_verdict(XDP_PASS);
  cookie = (void*)(long)ctx->data_meta;
  if ((void*)(cookie + 1) > (void*)(long)ctx->data) return rxpool_verdict(XDP_PASS);
  *cookie = (__u64)key + 1;
  __sync_fetch_and_add(&meter->out, 1);
  return rxpool_verdict(XDP_PASS);
}

SEC("?rxpool/return")
int egress_meter_return(struct rxpool_return_ctx* ctx) {
  __u32 key = (__u32)(ctx->cookie - 1);
  struct meter* meter;

  if (!ctx->cookie) return 0;
  meter = bpf_map_lookup_elem(&meters, &key);
  if (!meter) return 0;
  close_window(meter, bpf_ktime_get_ns());
  __sync_fetch_and_add(&meter->out, -1);
  __sync_fetch_and_add(&meter->returned, 1);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
