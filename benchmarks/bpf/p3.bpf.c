/* A flow's 5-tuple looked up among 4096, and a token bucket: packets above the flow's rate are dropped. */
#include "bench_program.h"

struct flow_key {
  __u32 source;
  __u32 destination;
  __u32 ports; /* as they stand in the header */
  __u32 protocol;
};
struct bucket {
  __u64 tokens; /* bytes, shifted by 10 */
  __u64 filled_ns;
  __u64 rate;  /* bytes per 2^20 ns, shifted by 10 */
  __u64 burst; /* bytes, shifted by 10 */
  __u64 passed;
  __u64 dropped;
};

#ifndef RXPOOL_NATIVE
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct flow_key);
  __type(value, struct bucket);
} flows SEC(".maps");
#endif

PROGRAM(p3) {
  void* data = DATA(ctx);
  void* end = DATA_END(ctx);
  struct ethhdr* eth = data;
  struct iphdr* ip = (void*)(eth + 1);
  struct udphdr* udp = (void*)(ip + 1);
  if ((void*)(udp + 1) > end) {
    return PASS;
  }
  if (eth->h_proto != __builtin_bswap16(ETH_P_IP) || ip->ihl != 5) {
    return PASS;
  }
  if (ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP) {
    return PASS;
  }
  struct flow_key key = {ip->saddr, ip->daddr, *(__u32*)udp, ip->protocol};
  struct bucket* bucket = LOOKUP_FLOW(&key);
  if (!bucket) {
    return PASS;
  }
  __u64 now = NOW_NS();
  __u64 tokens = bucket->tokens + ((now - bucket->filled_ns) * bucket->rate >> 20);
  if (tokens > bucket->burst) {
    tokens = bucket->burst;
  }
  bucket->filled_ns = now;
  __u64 price = (__u64)(end - data) << 10;
  if (tokens < price) {
    bucket->tokens = tokens;
    bucket->dropped += 1;
    return DROP;
  }
  bucket->tokens = tokens - price;
  bucket->passed += 1;
  return PASS;
}
