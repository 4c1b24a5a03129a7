/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What an rxpool policy may use besides the kernel's own UAPI: the 64-byte signal that tells the state of the machine,
 * the contexts of the two hooks that exist only in rxpool, the XDP metadata kfuncs, and small packet helpers.
 * Self-contained: the kernel's UAPI headers (6.1 or later) and libbpf's bpf_helpers.h are all it needs.
 *
 *   clang -target bpf -mcpu=v4 -O2 -g -idirafter /usr/include/$(uname -m)-linux-gnu -c mine.bpf.c -o mine.bpf.o
 *
 * The same object loads into a kernel: `ip link set dev eth0 xdp obj mine.bpf.o sec xdp`.
 */
#ifndef RXPOOL_POLICY_BPF_H
#define RXPOOL_POLICY_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef NULL
#define NULL ((void*)0)
#endif

/* ---- the signal: one per RX queue, in an array map that user space writes -------------------------------------- */

#define RXPOOL_SIGNAL_ABI 1
#define RXPOOL_SIGNAL_QUEUES 64

struct rxpool_signal {
  __u32 abi;         /* RXPOOL_SIGNAL_ABI, 0 while nobody has written */
  __u32 seq;         /* odd while it is being written */
  __u32 state;       /* enum rxpool_state */
  __u32 valid;       /* enum rxpool_valid: which fields this host can measure */
  __u64 updated_ns;  /* clock of bpf_ktime_get_ns() at the last write */
  __u32 held;        /* pages that somebody downstream keeps */
  __u32 inflight;    /* the kernel's: hold - release */
  __u32 working_set; /* a detector's estimate of held in steady state */
  __u32 limit;       /* pages, where the breaker opens */
  __u32 rx_fill;     /* descriptors that wait for the driver */
  __u32 rx_size;
  __u32 tx_fill;
  __u32 tx_size;
  __u64 hw_drops_total; /* frames lost before the driver saw them */
};

enum rxpool_state {
  RXPOOL_CIRCUIT_BREAKER = 1U << 0, /* a packet for the stack needs approval: XDP_PASS is one */
  RXPOOL_RX_OVERLOAD = 1U << 1,     /* the RX queue is not emptied fast enough */
  RXPOOL_TX_OVERLOAD = 1U << 2,     /* an egress queue pushes back */
  RXPOOL_HARD = 1U << 3,            /* free pages at the low watermark: nothing passes */
};

enum rxpool_valid {
  RXPOOL_VALID_STATE = 1U << 0,
  RXPOOL_VALID_HELD = 1U << 1,
  RXPOOL_VALID_INFLIGHT = 1U << 2,
  RXPOOL_VALID_WORKING_SET = 1U << 3,
  RXPOOL_VALID_LIMIT = 1U << 4,
  RXPOOL_VALID_RX_FILL = 1U << 5,
  RXPOOL_VALID_RX_SIZE = 1U << 6,
  RXPOOL_VALID_TX_FILL = 1U << 7,
  RXPOOL_VALID_TX_SIZE = 1U << 8,
  RXPOOL_VALID_HW_DROPS_TOTAL = 1U << 9,
};

/* Write RXPOOL_SIGNAL_MAP once at file scope to receive the signal. */
#define RXPOOL_SIGNAL_MAP                      \
  struct {                                     \
    __uint(type, BPF_MAP_TYPE_ARRAY);          \
    __uint(max_entries, RXPOOL_SIGNAL_QUEUES); \
    __uint(map_flags, BPF_F_MMAPABLE);         \
    __type(key, __u32);                        \
    __type(value, struct rxpool_signal);       \
  } rxpool_signal SEC(".maps")

/* The state bits of a queue; 0 while there is no signal or while it is being written (a policy then does nothing). */
#define rxpool_state(queue)                                                                      \
  ({                                                                                             \
    __u32 queue_ = (queue);                                                                      \
    const volatile struct rxpool_signal* signal_ = bpf_map_lookup_elem(&rxpool_signal, &queue_); \
    signal_ && signal_->abi == RXPOOL_SIGNAL_ABI && !(signal_->seq & 1) ? signal_->state : 0;    \
  })

/* ---- hooks that exist only in rxpool ("?": plain libbpf leaves them out) ---------------------------------------- */

/* SEC("?rxpool/return"): once per packet buffer, on the CPU that returns it to its pool. The result is ignored: what
 * the program decides falls on later packets, through maps. */
struct rxpool_return_ctx {
  __u64 held_ns; /* from RX to return */
  __u64 cookie;  /* the first 8 bytes of metadata that the XDP program left */
  __u32 rx_hash;
  __u32 rx_queue_index;
  __u32 bytes;
  __u32 consumer; /* enum rxpool_consumer */
  __u32 cpu;
  __u32 reserved;
};

/* Value of the one element of a map `rxpool_lag`: drops that a return program has decided, and how long after the
 * decision they fell. The simulator reports them. */
struct rxpool_lag {
  __u64 drops;
  __u64 total_ns;
  __u64 most_ns;
};

enum rxpool_consumer {
  RXPOOL_CONSUMER_XDP = 0,   /* dropped or recycled in the driver */
  RXPOOL_CONSUMER_TX = 1,    /* XDP_TX or redirect, after TX completion */
  RXPOOL_CONSUMER_STACK = 2, /* socket, qdisc, netfilter */
  RXPOOL_CONSUMER_CPUMAP = 3,
  RXPOOL_CONSUMER_XSK = 4,
};

/* SEC("?rxpool/egress"): before a frame is put on a TX ring. XDP_PASS, XDP_DROP, or bpf_redirect to another device. */
struct rxpool_egress_ctx {
  __u32 data;
  __u32 data_end;
  __u32 rx_hash;
  __u32 rx_queue_index;
  __u32 egress_ifindex;
  __u32 tx_queue;
  __u32 ring_fill;
  __u32 ring_size;
  __u32 backoff; /* writable: raises TX_OVERLOAD for the ingress queue until the fill is under this mark */
  __u32 reserved;
};

/* ---- XDP metadata kfuncs: what the device knows of this packet; 0, -ENODATA or -EOPNOTSUPP ----------------------- */

enum rxpool_rss_hash_type { /* enum xdp_rss_hash_type of the kernel, bits */
                            RXPOOL_RSS_L3_IPV4 = 1U << 0,
                            RXPOOL_RSS_L3_IPV6 = 1U << 1,
                            RXPOOL_RSS_L4 = 1U << 3,
                            RXPOOL_RSS_L4_TCP = 1U << 4,
                            RXPOOL_RSS_L4_UDP = 1U << 5,
};

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md* ctx, __u64* timestamp) __ksym __weak;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md* ctx, __u32* hash,
                                    enum rxpool_rss_hash_type* type) __ksym __weak;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md* ctx, __be16* vlan_proto, __u16* vlan_tci) __ksym __weak;

/* ---- packets ---------------------------------------------------------------------------------------------------- */

/* 5-tuple of an IPv4 or IPv6 packet; IPv6 addresses are folded to 32 bits. */
struct rxpool_flow {
  __be32 source;
  __be32 destination;
  __be16 source_port;
  __be16 destination_port;
  __u8 protocol;
  __u8 tcp_flags;   /* low byte of the flags, 0 unless TCP */
  __u16 ether_type; /* host order */
};

static __always_inline __u32 rxpool_fold6(const struct in6_addr* address) {
  return address->in6_u.u6_addr32[0] ^ address->in6_u.u6_addr32[1] ^ address->in6_u.u6_addr32[2] ^
         address->in6_u.u6_addr32[3];
}

/* Fills `flow` as far as the packet goes; ports stay 0 for fragments and other protocols. Returns 0, or -1 for a frame
 * without an Ethernet header. */
static __always_inline int rxpool_parse(struct xdp_md* ctx, struct rxpool_flow* flow) {
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = data;
  void* l4;

  __builtin_memset(flow, 0, sizeof(*flow));
  if ((void*)(eth + 1) > end) return -1;
  flow->ether_type = bpf_ntohs(eth->h_proto);
  if (eth->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = (void*)(eth + 1);

    if ((void*)(ip + 1) > end) return 0;
    flow->source = ip->saddr;
    flow->destination = ip->daddr;
    flow->protocol = ip->protocol;
    if (ip->ihl != 5 || (ip->frag_off & bpf_htons(0x1fff))) return 0;
    l4 = ip + 1;
  } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr* ip6 = (void*)(eth + 1);

    if ((void*)(ip6 + 1) > end) return 0;
    flow->source = rxpool_fold6(&ip6->saddr);
    flow->destination = rxpool_fold6(&ip6->daddr);
    flow->protocol = ip6->nexthdr;
    l4 = ip6 + 1;
  } else {
    return 0;
  }
  if (flow->protocol == IPPROTO_UDP) {
    struct udphdr* udp = l4;

    if ((void*)(udp + 1) > end) return 0;
    flow->source_port = udp->source;
    flow->destination_port = udp->dest;
  } else if (flow->protocol == IPPROTO_TCP) {
    struct tcphdr* tcp = l4;

    if ((void*)(tcp + 1) > end) return 0;
    flow->source_port = tcp->source;
    flow->destination_port = tcp->dest;
    flow->tcp_flags = ((__u8*)tcp)[13];
  }
  return 0;
}

#define RXPOOL_TCP_FIN 0x01
#define RXPOOL_TCP_SYN 0x02
#define RXPOOL_TCP_RST 0x04
#define RXPOOL_TCP_ACK 0x10

static __always_inline __u32 rxpool_mix(__u32 hash) {
  hash ^= hash >> 16;
  hash *= 0x7feb352d;
  hash ^= hash >> 15;
  hash *= 0x846ca68b;
  return hash ^ hash >> 16;
}

/* A flow hash in software, for kernels and paths without one from the device. */
static __always_inline __u32 rxpool_flow_hash(const struct rxpool_flow* flow) {
  __u32 ports = (__u32)flow->source_port << 16 | flow->destination_port;

  return rxpool_mix(rxpool_mix(rxpool_mix(flow->source) + flow->destination) + (ports ^ flow->protocol));
}

/* The hash that an earlier stage took from the device, or the software one. */
static __always_inline __u32 rxpool_hash_of_packet(struct xdp_md* ctx) {
  struct rxpool_flow flow;

  return rxpool_parse(ctx, &flow) ? 0 : rxpool_flow_hash(&flow);
}

/* ---- counters that every shipped policy keeps: packets per verdict ----------------------------------------------- */

#define RXPOOL_VERDICT_MAP                   \
  struct {                                   \
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
    __uint(max_entries, 5);                  \
    __type(key, __u32);                      \
    __type(value, __u64);                    \
  } verdicts SEC(".maps")

#define rxpool_verdict(action)                                \
  ({                                                          \
    __u32 action_ = (action);                                 \
    __u64* count_ = bpf_map_lookup_elem(&verdicts, &action_); \
    if (count_) *count_ += 1;                                 \
    (int)action_;                                             \
  })

/* ---- counters of the programs that rates are measured with: packets in all, and per RX queue --------------------- */

#define RXPOOL_PACKET_MAPS                   \
  struct {                                   \
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
    __uint(max_entries, 1);                  \
    __type(key, __u32);                      \
    __type(value, __u64);                    \
  } packets SEC(".maps");                    \
  struct {                                   \
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
    __uint(max_entries, 64);                 \
    __type(key, __u32);                      \
    __type(value, __u64);                    \
  } queue_packets SEC(".maps")

#endif /* RXPOOL_POLICY_BPF_H */
