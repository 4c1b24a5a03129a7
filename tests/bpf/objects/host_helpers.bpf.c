/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Helpers whose answers come from the simulated host: clock, random numbers, CPU, trace, routing, timers. */
#include "policy.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 32);
  __type(key, __u32);
  __type(value, __s64);
} results SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(key_size, 4);
  __uint(value_size, 4);
} events SEC(".maps");

struct alarm {
  struct bpf_timer timer;
  __u64 fired;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct alarm);
} alarms SEC(".maps");

static __always_inline void note(__u32 index, __s64 value) {
  bpf_map_update_elem(&results, &index, &value, BPF_ANY);
}

static int ring_out(void* map, __u32* key, struct alarm* alarm) {
  alarm->fired += 1;
  if (alarm->fired < 3) bpf_timer_start(&alarm->timer, 1000, 0);
  return 0;
}

SEC("xdp")
int host_helpers(struct xdp_md* ctx) {
  struct bpf_fib_lookup route = {.family = 2, .ifindex = ctx->ingress_ifindex};
  __u32 one = 1, mtu = 0;
  __u64 stamp = 0;
  __be16 proto = 0;
  __u16 tci = 0;
  struct alarm* alarm;

  note(0, bpf_ktime_get_ns());
  note(1, bpf_ktime_get_coarse_ns());
  note(2, bpf_jiffies64());
  note(3, bpf_get_prandom_u32());
  note(4, bpf_get_smp_processor_id());
  note(5, bpf_get_numa_node_id());
  bpf_printk("queue %d of %s: %x", ctx->rx_queue_index, "nic", 0xabc);
  note(6, bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &one, sizeof(one)));
  route.ipv4_dst = bpf_htonl(0x0a010203);
  route.tot_len = 100;
  note(7, bpf_fib_lookup(ctx, &route, sizeof(route), 0));
  note(8, route.ifindex);
  note(9, route.dmac[5]);
  route.ifindex = ctx->ingress_ifindex;
  route.ipv4_dst = bpf_htonl(0xc0a80001);
  note(10, bpf_fib_lookup(ctx, &route, sizeof(route), 0));
  route.ifindex = ctx->ingress_ifindex;
  route.ipv4_dst = bpf_htonl(0x0a010203);
  route.tot_len = 2000;
  note(11, bpf_fib_lookup(ctx, &route, sizeof(route), 0));
  note(12, bpf_check_mtu(ctx, 2, &mtu, 0, 0));
  note(13, mtu);
  mtu = 0;
  note(14, bpf_check_mtu(ctx, 2, &mtu, 2000, 0));
  note(15, bpf_xdp_metadata_rx_timestamp(ctx, &stamp));
  note(16, stamp);
  note(17, bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci));
  note(18, tci);
  alarm = bpf_map_lookup_elem(&alarms, &one);
  if (alarm) {
    note(19, bpf_timer_start(&alarm->timer, 5000, 0));
    note(20, bpf_timer_init(&alarm->timer, &alarms, 1));
    note(21, bpf_timer_init(&alarm->timer, &alarms, 1));
    bpf_timer_set_callback(&alarm->timer, ring_out);
    note(22, bpf_timer_start(&alarm->timer, 5000, 0));
  }
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
