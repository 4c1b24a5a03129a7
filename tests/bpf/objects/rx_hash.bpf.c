/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Writes down what the driver says of each frame's hash, in the order of the frames. */
#include "policy.bpf.h"

struct hint {
  __u32 hash;
  __u32 type;
  __s32 error;
  __u32 reserved;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 16384);
  __type(key, __u32);
  __type(value, struct hint);
} hints SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} seen SEC(".maps");

SEC("xdp")
int rx_hash(struct xdp_md* ctx) {
  enum rxpool_rss_hash_type type = 0;
  __u32 hash = 0, zero = 0, index;
  struct hint* hint;
  __u64* count;

  count = bpf_map_lookup_elem(&seen, &zero);
  if (!count) return XDP_ABORTED;
  index = (__u32)*count;
  hint = bpf_map_lookup_elem(&hints, &index);
  if (hint) {
    hint->error = bpf_xdp_metadata_rx_hash(ctx, &hash, &type);
    hint->hash = hash;
    hint->type = type;
  }
  *count += 1;
  return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
