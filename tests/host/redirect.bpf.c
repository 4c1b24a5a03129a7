/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sends every packet on, marked, in the way that the knobs say; programs for the other end look for the mark. */
#include "policy.bpf.h"

#define MARK 0xee

enum way { BY_ARRAY, BY_HASH, BY_IFINDEX, BY_NOTHING, BACK, TO_SOCKET, TO_CPU };

const volatile __u32 way = BY_ARRAY;
const volatile __u32 key = 0;
const volatile __u32 flags = 0;
const volatile __u32 longer = 0;

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 8);
  __type(key, __u32);
  __type(value, struct bpf_devmap_val);
} by_key SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __uint(max_entries, 8);
  __type(key, __u32);
  __type(value, struct bpf_devmap_val);
} by_hash SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} without_program SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 8);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_CPUMAP);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

static __always_inline int marked(struct xdp_md* ctx) {
  __u8* data = (void*)(long)ctx->data;

  return data + 1 <= (__u8*)(long)ctx->data_end && *data == MARK;
}

SEC("xdp")
int redirect(struct xdp_md* ctx) {
  __u8* data;

  if (longer && bpf_xdp_adjust_head(ctx, -20)) return XDP_ABORTED;
  data = (void*)(long)ctx->data;
  if (data + ETH_HLEN > (__u8*)(long)ctx->data_end) return XDP_ABORTED;
  *data = MARK;
  switch (way) {
    case BY_ARRAY:
      return bpf_redirect_map(&by_key, key, flags);
    case BY_HASH:
      return bpf_redirect_map(&by_hash, key, flags);
    case BY_IFINDEX:
      return bpf_redirect(key, 0);
    case TO_SOCKET:
      return bpf_redirect_map(&sockets, ctx->rx_queue_index, flags);
    case TO_CPU:
      return ctx->rx_queue_index ? bpf_redirect_map(&cpus, key, 0) : XDP_DROP;
    case BY_NOTHING:
      return XDP_REDIRECT;
    default:
      return XDP_TX;
  }
}

/* Lets pass what is as redirect() left it and leaves by the device that it should. */
SEC("xdp/devmap")
int marked_only(struct xdp_md* ctx) {
  return marked(ctx) && ctx->ingress_ifindex == 2 && ctx->egress_ifindex == 3 ? XDP_PASS : XDP_DROP;
}

/* Lets pass what comes without the queue that it was received on. */
SEC("xdp/cpumap")
int without_queue(struct xdp_md* ctx) {
  return ctx->rx_queue_index ? XDP_DROP : XDP_PASS;
}

/* Every second identification. */
SEC("xdp/devmap")
int even_only(struct xdp_md* ctx) {
  __u8* data = (void*)(long)ctx->data;

  if (data + ETH_HLEN + 20 > (__u8*)(long)ctx->data_end) return XDP_ABORTED;
  return data[ETH_HLEN + 5] % 2 ? XDP_DROP : XDP_PASS;
}

SEC("xdp/devmap")
int shorten(struct xdp_md* ctx) {
  return bpf_xdp_adjust_tail(ctx, -100) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp/devmap")
int back(struct xdp_md* ctx) {
  return XDP_TX; /* not for programs of a devmap */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
