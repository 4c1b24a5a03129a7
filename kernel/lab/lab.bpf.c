// The lab's programs: the pacer that turns generated live frames into a given send schedule, the two built-in verdicts,
// the probes (BTF tracepoints), and the snapshot of the pool under test. Only what happens in the lab's own network
// namespace is counted, except the page allocator's tracepoints, which know no namespace.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <linux/udp.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/lab/lab.h"
#include "kernel/live/pool_read.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common {
  unsigned int inum;
};
struct net {
  struct ns_common ns;
};
typedef struct {
  struct net* net;
} possible_net_t;
struct net_device {
  int ifindex;
  possible_net_t nd_net;
};
struct napi_struct {
  struct net_device* dev;
};
struct sk_buff {
  struct net_device* dev;
};
struct veth_rq {
  struct napi_struct xdp_napi;  // the first: a poll's NAPI is its queue
  struct page_pool* page_pool;
};
#pragma clang attribute pop

struct LabShared shared;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} schedule SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct PoolSnapshot);
} sampled SEC(".maps");

static __always_inline int ours(struct net_device* dev) {
  return dev && BPF_CORE_READ(dev, nd_net.net, ns.inum) == shared.control.netns;
}

// --- traffic ---

SEC("xdp")
int pace(struct xdp_md* ctx) {
  __u32 index = shared.counters.next;
  if (!shared.control.begin_ns || index >= shared.control.entries) {
    return XDP_DROP;
  }
  __u64* entry = bpf_map_lookup_elem(&schedule, &index);
  if (!entry) {
    return XDP_DROP;
  }
  __u64 due = shared.control.begin_ns + LAB_ENTRY_TIME(*entry);
  __u64 now = bpf_ktime_get_ns();
  if (now < due) {
    return XDP_DROP;
  }
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct udphdr* udp = data + sizeof(struct ethhdr) + sizeof(struct iphdr);
  if ((void*)(udp + 1) > end) {
    return XDP_DROP;
  }
  udp->source = bpf_htons(1024 + LAB_ENTRY_FLOW(*entry) % 64000);
  udp->dest = shared.control.ports[LAB_ENTRY_SOURCE(*entry)];
  *entry = LAB_ENTRY(now - shared.control.begin_ns, LAB_ENTRY_FLOW(*entry), LAB_ENTRY_SOURCE(*entry));
  shared.counters.next = index + 1;
  shared.counters.last_due_ns = due;
  ++shared.counters.sent;
  return bpf_redirect(shared.control.ifindex, 0);
}

SEC("xdp")
int pass(struct xdp_md* ctx) {
  return XDP_PASS;
}

SEC("xdp")
int drop(struct xdp_md* ctx) {
  return XDP_DROP;
}

struct {
  __uint(type, BPF_MAP_TYPE_CPUMAP);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

SEC("xdp")
int to_cpu(struct xdp_md* ctx) {
  return bpf_redirect_map(&cpus, shared.control.remote_cpu, 0);
}

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} xsks SEC(".maps");

SEC("xdp")
int to_xsk(struct xdp_md* ctx) {
  return bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}

// --- probes ---

SEC("tp_btf/page_pool_state_hold")
int BPF_PROG(on_hold, const struct page_pool* pool) {
  if (!shared.counters.pool && shared.control.generator_tid &&
      (__u32)bpf_get_current_pid_tgid() == shared.control.generator_tid) {
    shared.counters.pool = (__u64)pool;
  }
  if (shared.counters.pool == (__u64)pool) {
    __sync_fetch_and_add(&shared.counters.pool_holds, 1);
  }
  return 0;
}

SEC("tp_btf/page_pool_state_release")
int BPF_PROG(on_release, const struct page_pool* pool) {
  if (shared.counters.pool && shared.counters.pool == (__u64)pool) {
    __sync_fetch_and_add(&shared.counters.pool_releases, 1);
  }
  return 0;
}

SEC("tp_btf/napi_poll")
int BPF_PROG(on_poll, struct napi_struct* napi, int work, int budget) {
  struct net_device* dev = BPF_CORE_READ(napi, dev);
  if (ours(dev) && BPF_CORE_READ(dev, ifindex) == shared.control.receiver) {
    __sync_fetch_and_add(&shared.counters.polls, 1);
    __sync_fetch_and_add(&shared.counters.full_polls, work >= budget);
    __sync_fetch_and_add(&shared.counters.poll_work, work);
    struct veth_rq* rq = (struct veth_rq*)napi;
    if (shared.control.receivers_pool && !shared.counters.pool && bpf_core_field_exists(rq->page_pool)) {
      shared.counters.pool = (__u64)BPF_CORE_READ(rq, page_pool);
    }
    struct page_pool* pool = (struct page_pool*)shared.counters.pool;
    struct PoolRead read = {};
    if (pool && read_pool(pool, &read)) {
      __s64 held = (__s32)(read.hold - read.release) - (__s32)(read.cache + read.ring);
      shared.counters.peak_held = held > shared.counters.peak_held ? held : shared.counters.peak_held;
    }
  }
  return 0;
}

SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(on_devmap, struct net_device* from, struct net_device* to, int sent, int drops) {
  if (ours(to)) {
    __sync_fetch_and_add(&shared.counters.devmap_sent, sent);
    __sync_fetch_and_add(&shared.counters.devmap_drops, drops);
  }
  return 0;
}

SEC("tp_btf/xdp_redirect_err")
int BPF_PROG(on_redirect_error, struct net_device* dev) {
  if (ours(dev)) {
    __sync_fetch_and_add(&shared.counters.redirect_errors, 1);
  }
  return 0;
}

SEC("tp_btf/xdp_exception")
int BPF_PROG(on_exception, struct net_device* dev) {
  if (ours(dev)) {
    __sync_fetch_and_add(&shared.counters.xdp_exceptions, 1);
  }
  return 0;
}

SEC("tp_btf/xdp_cpumap_enqueue")
int BPF_PROG(on_cpumap, int map_id, unsigned int processed, unsigned int drops) {
  if (map_id == shared.control.cpu_map) {
    __sync_fetch_and_add(&shared.counters.cpumap_processed, processed);
    __sync_fetch_and_add(&shared.counters.cpumap_drops, drops);
  }
  return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(on_kfree_skb, struct sk_buff* skb, void* location, int reason) {
  if (ours(BPF_CORE_READ(skb, dev)) && reason >= 0 && reason < LAB_REASONS) {
    __sync_fetch_and_add(&shared.counters.skb_drops[reason], 1);
  }
  return 0;
}

SEC("tp_btf/mm_page_alloc")
int BPF_PROG(on_page_alloc) {
  __sync_fetch_and_add(&shared.counters.pages_allocated, 1);
  return 0;
}
SEC("tp_btf/mm_page_free")
int BPF_PROG(on_page_free) {
  __sync_fetch_and_add(&shared.counters.pages_freed, 1);
  return 0;
}
SEC("tp_btf/mm_page_alloc_zone_locked")
int BPF_PROG(on_zone_locked) {
  __sync_fetch_and_add(&shared.counters.pcp_refilled, 1);
  return 0;
}
SEC("tp_btf/mm_page_pcpu_drain")
int BPF_PROG(on_pcpu_drain) {
  __sync_fetch_and_add(&shared.counters.pcp_drained, 1);
  return 0;
}

// --- snapshot, run on demand ---

// A timer's interrupt on a CPU that the pool's owner is not on: softirqs do not delay it, and no refill stands still
// under it.
SEC("perf_event")
int sample(void* ctx) {
  __u32 index = shared.counters.timer_ticks;
  struct PoolSnapshot* place = shared.control.begin_ns ? bpf_map_lookup_elem(&sampled, &index) : 0;
  if (place) {
    take_snapshot((struct page_pool*)shared.counters.pool, place);
    shared.counters.timer_ticks = index + 1;
  }
  return 0;
}

SEC("raw_tp")
int snapshot(void* ctx) {
  take_snapshot((struct page_pool*)shared.counters.pool, &shared.latest);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
