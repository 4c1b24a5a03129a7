/* Ethernet, IPv4 and UDP with bounds checks, verdict by port, a per-CPU counter of verdicts. */
#include "bench_program.h"

#ifndef RXPOOL_NATIVE
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64[2]);
} counters SEC(".maps");
#endif

static inline __attribute__((always_inline)) int swap16(int x) {
  return __builtin_bswap16((__u16)x);
}

PROGRAM(p2) {
  void* data = DATA(ctx);
  void* end = DATA_END(ctx);
  struct ethhdr* eth = data;
  int verdict = PASS;
  if ((void*)(eth + 1) > end) {
    return DROP;
  }
  if (eth->h_proto == swap16(ETH_P_IP)) {
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end) {
      return DROP;
    }
    int header = ip->ihl * 4;
    if (header < (int)sizeof(*ip) || (ip->frag_off & swap16(0x3fff)) != 0) {
      return DROP;
    }
    if (ip->protocol == IPPROTO_UDP) {
      struct udphdr* udp = (void*)ip + header;
      if ((void*)(udp + 1) > end) {
        return DROP;
      }
      __u16 port = __builtin_bswap16(udp->dest);
      if (port == 9 || (port >= 5000 && port < 5100)) {
        verdict = DROP;
      }
    }
  }
  __u32 key = (__u32)verdict;
  __u64* counter = LOOKUP_COUNTER(&key);
  if (counter) {
    counter[0] += 1;
    counter[1] += (__u64)(end - data);
  }
  return verdict;
}
