/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Limits new TCP connections per source network (/24 for IPv4, the folded address for IPv6) to `syn_per_window` in
 * `window_ns`, and drops what cannot be the start or part of a connection (SYN with FIN or RST). Networks in `trusted`
 * are left alone.
 */
#include "policy.bpf.h"

const volatile __u32 syn_per_window = 100;
const volatile __u64 window_ns = 100000000;

struct syn_count {
  __u64 window_start_ns;
  __u32 syn;
  __u32 dropped;
};

struct prefix {
  __u32 length;
  __be32 address;
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, __be32);
  __type(value, struct syn_count);
} sources SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 256);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix);
  __type(value, __u32);
} trusted SEC(".maps");

RXPOOL_VERDICT_MAP;

SEC("xdp")
int syn_guard(struct xdp_md* ctx) {
  struct rxpool_flow flow;
  struct prefix source = {.length = 32};
  struct syn_count* count;
  __be32 network;
  __u64 now;

  if (rxpool_parse(ctx, &flow) || flow.protocol != IPPROTO_TCP || !(flow.tcp_flags & RXPOOL_TCP_SYN))
    return rxpool_verdict(XDP_PASS);
  if (flow.tcp_flags & (RXPOOL_TCP_FIN | RXPOOL_TCP_RST)) return rxpool_verdict(XDP_DROP);
  if (flow.tcp_flags & RXPOOL_TCP_ACK) /* an answer to our own SYN */
    return rxpool_verdict(XDP_PASS);
  source.address = flow.source;
  if (bpf_map_lookup_elem(&trusted, &source)) return rxpool_verdict(XDP_PASS);
  network = flow.ether_type == ETH_P_IP ? flow.source & bpf_htonl(0xffffff00) : flow.source;
  now = bpf_ktime_get_ns();
  count = bpf_map_lookup_elem(&sources, &network);
  if (!count) {
    struct syn_count fresh = {.window_start_ns = now, .syn = 1};

    bpf_map_update_elem(&sources, &network, &fresh, BPF_ANY);
    return rxpool_verdict(XDP_PASS);
  }
  if (now - count->window_start_ns >= window_ns) {
    count->window_start_ns = now;
    count->syn = 0;
  }
  if (count->syn >= syn_per_window) {
    __sync_fetch_and_add(&count->dropped, 1);
    return rxpool_verdict(XDP_DROP);
  }
  __sync_fetch_and_add(&count->syn, 1);
  return rxpool_verdict(XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
