/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Calls the helpers one by one and leaves what they gave in a map: the same object runs in the kernel. */
#include "policy.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __s64);
} results SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64);
} small SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 2);
  __uint(key_size, 0);
  __uint(value_size, 8);
} queue SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} ring SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} percpu SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} devices SEC(".maps");

int tail_target(struct xdp_md* ctx);

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 2);
  __uint(key_size, 4);
  __array(values, int(void*));
} jumps SEC(".maps") = {
    .values = {[1] = (void*)&tail_target},
};

struct guarded {
  struct bpf_spin_lock lock;
  __u32 count;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct guarded);
} locked SEC(".maps");

static __always_inline void note(__u32 index, __s64 value) {
  bpf_map_update_elem(&results, &index, &value, BPF_ANY);
}

struct bpf_map;

static long count_down(__u32 index, __u64* sum) {
  *sum += index;
  return index == 5;
}

static long add_value(struct bpf_map* map, __u32* key, __u64* value, __u64* sum) {
  *sum += *key * 1000 + *value;
  return 0;
}

SEC("xdp")
int helpers(struct xdp_md* ctx) {
  __u32 key = 1, absent = 77, zero = 0, mtu = 0;
  __u64 value = 10, sum = 0, *place;
  __u8 bytes[8] = {}, other[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  struct guarded* guarded;

  note(0, bpf_map_update_elem(&small, &key, &value, BPF_EXIST));
  note(1, bpf_map_update_elem(&small, &key, &value, BPF_NOEXIST));
  note(2, bpf_map_update_elem(&small, &key, &value, BPF_NOEXIST));
  note(3, bpf_map_delete_elem(&small, &absent));
  key = 2;
  value = 20;
  note(4, bpf_map_update_elem(&small, &key, &value, 77));
  note(5, bpf_map_update_elem(&small, &key, &value, BPF_ANY));
  note(6, bpf_for_each_map_elem(&small, add_value, &sum, 0));
  note(7, sum);
  sum = 0;
  note(8, bpf_loop(100, count_down, &sum, 0));
  note(9, sum);
  note(10, bpf_loop(1U << 24, count_down, &sum, 0));
  note(11, bpf_loop(1, count_down, &sum, 1));

  note(12, bpf_map_push_elem(&queue, &value, 0));
  value = 21;
  note(13, bpf_map_push_elem(&queue, &value, 0));
  note(14, bpf_map_push_elem(&queue, &value, 0));
  note(15, bpf_map_push_elem(&queue, &value, BPF_EXIST));
  note(16, bpf_map_peek_elem(&queue, &value));
  note(17, bpf_map_pop_elem(&queue, &value));
  note(18, bpf_map_pop_elem(&queue, &value));
  note(19, bpf_map_pop_elem(&queue, &value));
  note(20, value);

  place = bpf_ringbuf_reserve(&ring, 16, 0);
  if (place) {
    place[0] = 1;
    place[1] = 2;
    bpf_ringbuf_submit(place, 0);
  }
  note(21, bpf_ringbuf_output(&ring, other, sizeof(other), 0));
  note(22, bpf_ringbuf_output(&ring, other, sizeof(other), 8));
  note(23, bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA));
  note(24, bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE));
  note(25, bpf_ringbuf_query(&ring, BPF_RB_PROD_POS));

  note(26, bpf_xdp_get_buff_len(ctx));
  note(27, bpf_xdp_load_bytes(ctx, 2, bytes, sizeof(bytes)));
  note(28, bytes[0] | bytes[7] << 8);
  note(29, bpf_xdp_load_bytes(ctx, 60, bytes, sizeof(bytes)));
  note(30, bpf_xdp_store_bytes(ctx, 20, other, sizeof(other)));
  note(31, bpf_csum_diff((__be32*)bytes, 8, (__be32*)other, 8, 0x1234) & 0xffff);
  note(32, bpf_csum_diff((__be32*)bytes, 7, (__be32*)other, 8, 0));
  note(33, bpf_csum_diff(0, 0, (__be32*)other, 8, 0) & 0xffff);

  note(34, bpf_xdp_adjust_head(ctx, -300));
  note(35, bpf_xdp_adjust_head(ctx, 60));
  note(36, bpf_xdp_adjust_meta(ctx, -6));
  note(37, bpf_xdp_adjust_meta(ctx, -8));
  note(38, bpf_xdp_adjust_meta(ctx, 4));
  note(39, bpf_xdp_adjust_meta(ctx, 12));
  note(40, bpf_xdp_adjust_head(ctx, 4));
  note(41, bpf_xdp_adjust_head(ctx, -4));
  note(42, bpf_xdp_adjust_tail(ctx, 10));
  note(43, bpf_xdp_adjust_tail(ctx, 100000));
  note(44, bpf_xdp_adjust_tail(ctx, -70));
  note(45, bpf_xdp_adjust_tail(ctx, -10));
  note(46, ctx->data_end - ctx->data);
  note(47, ctx->data - ctx->data_meta);

  note(48, bpf_redirect_map(&devices, 1, XDP_TX));
  note(49, bpf_redirect_map(&devices, 1, 1U << 7));
  note(50, bpf_redirect(1, 1));
  note(51, bpf_map_lookup_percpu_elem(&percpu, &zero, 0) != NULL);
  note(52, bpf_map_lookup_percpu_elem(&percpu, &zero, 4096) != NULL);
  note(53, bpf_strncmp("abc", 3, "abd"));
  note(54, bpf_strncmp("abc", 3, "abc"));
  note(55, bpf_check_mtu(ctx, 99999, &mtu, 0, 0));
  note(56, bpf_check_mtu(ctx, 0, &mtu, 0, 1));

  guarded = bpf_map_lookup_elem(&locked, &zero);
  if (guarded) {
    bpf_spin_lock(&guarded->lock);
    guarded->count++;
    bpf_spin_unlock(&guarded->lock);
  }
  bpf_tail_call(ctx, &jumps, 0); /* no entry: goes on */
  bpf_tail_call(ctx, &jumps, 1);
  return XDP_ABORTED;
}

SEC("xdp")
int tail_target(struct xdp_md* ctx) {
  note(57, 1);
  return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
