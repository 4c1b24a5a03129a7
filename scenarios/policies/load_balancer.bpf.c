/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A layer-4 load balancer on one leg: packets to a virtual address and port are sent back out of the same device
 * (XDP_TX), wrapped in IPv4-in-IPv4 for the backend that the flow hash chooses; the backend answers the client itself.
 * Everything else passes.
 */
#include "policy.bpf.h"

#define BACKENDS 16

const volatile __u32 backends_used = 1;

struct vip {
  __be32 address;
  __be16 port;
  __u8 protocol;
  __u8 reserved;
};

struct backend {
  __be32 address; /* of the backend: outer destination */
  __be32 source;  /* of the balancer: outer source */
  __u8 next_hop[ETH_ALEN];
  __u8 reserved[2];
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, struct vip);
  __type(value, __u32);
} vips SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BACKENDS);
  __type(key, __u32);
  __type(value, struct backend);
} backends SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, BACKENDS);
  __type(key, __u32);
  __type(value, __u64);
} sent SEC(".maps");

RXPOOL_VERDICT_MAP;

static __always_inline __u16 header_checksum(struct iphdr* ip) {
  __u16* word = (void*)ip;
  __u32 sum = 0;
  int i;

#pragma unroll
  for (i = 0; i < (int)sizeof(*ip) / 2; i++) sum += word[i];
  sum = (sum & 0xffff) + (sum >> 16);
  return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline int encapsulate(struct xdp_md* ctx, const struct backend* backend) {
  struct ethhdr *eth, *old_eth;
  struct iphdr *outer, *inner;
  void *data, *end;
  __u16 length;

  if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*outer))) return XDP_DROP;
  data = (void*)(long)ctx->data;
  end = (void*)(long)ctx->data_end;
  eth = data;
  outer = (void*)(eth + 1);
  old_eth = data + sizeof(*outer);
  inner = (void*)(old_eth + 1);
  if ((void*)(inner + 1) > end) return XDP_DROP;
  __builtin_memcpy(eth->h_source, old_eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, backend->next_hop, ETH_ALEN);
  eth->h_proto = bpf_htons(ETH_P_IP);
  length = bpf_ntohs(inner->tot_len) + sizeof(*outer);
  __builtin_memset(outer, 0, sizeof(*outer));
  outer->version = 4;
  outer->ihl = 5;
  outer->tos = inner->tos;
  outer->tot_len = bpf_htons(length);
  outer->ttl = 64;
  outer->protocol = IPPROTO_IPIP;
  outer->saddr = backend->source;
  outer->daddr = backend->address;
  outer->check = header_checksum(outer);
  return XDP_TX;
}

SEC("xdp")
int load_balancer(struct xdp_md* ctx) {
  struct rxpool_flow flow;
  struct vip vip = {};
  struct backend* backend;
  __u64* count;
  __u32 choice;

  if (rxpool_parse(ctx, &flow) || flow.ether_type != ETH_P_IP || !backends_used) return rxpool_verdict(XDP_PASS);
  vip.address = flow.destination;
  vip.port = flow.destination_port;
  vip.protocol = flow.protocol;
  if (!bpf_map_lookup_elem(&vips, &vip)) return rxpool_verdict(XDP_PASS);
  choice = rxpool_flow_hash(&flow) % backends_used;
  backend = bpf_map_lookup_elem(&backends, &choice);
  if (!backend || !backend->address) return rxpool_verdict(XDP_DROP);
  count = bpf_map_lookup_elem(&sent, &choice);
  if (count) *count += 1;
  return rxpool_verdict(encapsulate(ctx, backend));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
