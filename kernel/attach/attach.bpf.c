// The programs on an attached NIC: a recorder in front of the policy, and probes that find the NIC's page_pools by the
// device that they map pages for.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/types.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/attach/attach.h"
#include "kernel/live/pool_read.bpf.h"

struct AttachShared shared;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct AttachPacket);
} packets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} policy SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, __u32);
} slots SEC(".maps"); /* of every pool that was met: its place in `pools` + 1, 0: another device's */

// --- packets ---

static __always_inline __u16 mix(__u32 value) {
  value ^= value >> 16;
  value *= 0x7feb352d;
  value ^= value >> 15;
  return (__u16)(value ^ value >> 16);
}

static __always_inline void read_headers(struct xdp_md* ctx, struct AttachPacket* packet) {
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* ethernet = data;
  packet->length = end - data;
  if ((void*)(ethernet + 1) > end) {
    return;
  }
  __u32 addresses = 0;
  struct udphdr* ports = 0;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = (void*)(ethernet + 1);
    if ((void*)(ip + 1) > end || ip->ihl != 5) {
      return;
    }
    packet->protocol = ip->protocol;
    addresses = ip->saddr * 31 + ip->daddr;
    ports = (void*)(ip + 1);
  } else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr* ip = (void*)(ethernet + 1);
    if ((void*)(ip + 1) > end) {
      return;
    }
    packet->protocol = ip->nexthdr;
    addresses = ip->saddr.in6_u.u6_addr32[3] * 31 + ip->daddr.in6_u.u6_addr32[3];
    ports = (void*)(ip + 1);
  }
  if (!ports || (void*)(ports + 1) > end || (packet->protocol != IPPROTO_UDP && packet->protocol != IPPROTO_TCP)) {
    packet->flow = mix(addresses);
    return;
  }
  packet->port = bpf_ntohs(ports->dest);
  packet->flow = mix(addresses * 31 + ((__u32)ports->source << 16 | ports->dest));
}

SEC("xdp")
int record(struct xdp_md* ctx) {
  if (shared.control.begin_ns) {
    __u32 index = __sync_fetch_and_add(&shared.counters.seen, 1);
    struct AttachPacket* place =
        index < shared.control.packets ? bpf_map_lookup_elem(&packets, &index) : (struct AttachPacket*)0;
    if (place) {
      struct AttachPacket packet = {};
      read_headers(ctx, &packet);
      packet.queue = ctx->rx_queue_index;
      packet.time_ns = bpf_ktime_get_ns() - shared.control.begin_ns;
      *place = packet;
    }
  }
  bpf_tail_call(ctx, &policy, 0);
  return shared.control.verdict;
}

// --- pools ---

static __always_inline int same(const char* name, const char* wanted) {
  for (int i = 0; i < ATTACH_NAME; ++i) {
    if (name[i] != wanted[i]) {
      return 0;
    }
    if (!name[i]) {
      return i > 0;
    }
  }
  return 0;
}

static __always_inline int ours(const struct page_pool* pool) {
  char name[ATTACH_NAME] = {};
  const char* kernel_name = BPF_CORE_READ(pool, p.dev, kobj.name);
  if (!kernel_name || bpf_probe_read_kernel_str(name, sizeof(name), kernel_name) < 0) {
    return 0;
  }
  return same(name, shared.control.devices[0]) || same(name, shared.control.devices[1]);
}

SEC("tp_btf/page_pool_state_hold")
int BPF_PROG(on_hold, const struct page_pool* pool) {
  __u64 address = (__u64)pool;
  __u32* known = bpf_map_lookup_elem(&slots, &address);
  __u32 slot = 0;
  if (known) {
    slot = *known;
  } else {
    if (ours(pool)) {
      slot = __sync_fetch_and_add(&shared.counters.pools, 1) + 1;
    }
    bpf_map_update_elem(&slots, &address, &slot, BPF_ANY);
    if (slot && slot <= ATTACH_POOLS) {
      shared.pools[slot - 1].address = address;
    } else if (slot) {
      __sync_fetch_and_add(&shared.counters.pools_lost, 1);
    }
  }
  if (slot && slot <= ATTACH_POOLS) {
    __sync_fetch_and_add(&shared.pools[slot - 1].holds, 1);
  }
  return 0;
}

SEC("tp_btf/page_pool_release")
int BPF_PROG(on_release, const struct page_pool* pool, int inflight) {
  __u64 address = (__u64)pool;
  __u32* known = bpf_map_lookup_elem(&slots, &address);
  if (!known || inflight != 0) {
    return 0;
  }
  __u32 slot = *known;
  bpf_map_delete_elem(&slots, &address);
  if (slot && slot <= ATTACH_POOLS) {
    shared.pools[slot - 1].gone = 1;
  }
  return 0;
}

SEC("raw_tp")
int snapshot(void* ctx) {
  __u32 slot = shared.control.pool;
  if (slot < ATTACH_POOLS && !shared.pools[slot].gone) {
    take_snapshot((struct page_pool*)shared.pools[slot].address, &shared.latest);
  }
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
