/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sends every packet to the AF_XDP socket of the key that the knobs give, and notes whether there is one. */
#include "policy.bpf.h"

const volatile __u64 key = 0;
const volatile __u64 flags = 0;

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} found SEC(".maps");

SEC("xdp")
int to_socket(struct xdp_md* ctx) {
  __u32 zero = 0, index = key;
  __u32* note = bpf_map_lookup_elem(&found, &zero);

  if (note) *note = bpf_map_lookup_elem(&sockets, &index) != 0;
  return bpf_redirect_map(&sockets, key, flags);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
