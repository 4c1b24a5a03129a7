/* One C source, two compilations: with -target bpf a real XDP object, natively (RXPOOL_NATIVE) the limit to compare with,
 * where lookups and clock are what the host offers and pointers are 64 bits wide. */
#ifndef RXPOOL_BENCH_PROGRAM_H
#define RXPOOL_BENCH_PROGRAM_H

#ifdef RXPOOL_NATIVE

#include <linux/types.h>

struct bench_context {
  void* data;
  void* data_end;
};
struct bench_array {
  char* base;
  __u32 stride;
  __u32 entries;
};
/* Filled by the benchmark: the arrays of the same policy, its hash map and its clock. */
extern struct bench_array bench_counters;
extern __u64 bench_now_ns;
extern void* bench_hash_lookup(const void* key);

static inline void* bench_array_lookup(const __u32* key) {
  return *key < bench_counters.entries ? bench_counters.base + (__u64)*key * bench_counters.stride : 0;
}
#define LOOKUP_COUNTER(key) bench_array_lookup(key)
#define LOOKUP_FLOW(key) bench_hash_lookup(key)
#define NOW_NS() bench_now_ns
#define DATA(ctx) ((ctx)->data)
#define DATA_END(ctx) ((ctx)->data_end)
#define PROGRAM(name) int native_##name(struct bench_context* ctx)

#else

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LOOKUP_COUNTER(key) bpf_map_lookup_elem(&counters, key)
#define LOOKUP_FLOW(key) bpf_map_lookup_elem(&flows, key)
#define NOW_NS() bpf_ktime_get_ns()
#define DATA(ctx) ((void*)(long)(ctx)->data)
#define DATA_END(ctx) ((void*)(long)(ctx)->data_end)
#define PROGRAM(name) SEC("xdp") int name(struct xdp_md* ctx)

char bench_license[] SEC("license") = "Dual BSD/GPL";

#endif

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

enum { DROP = 1, PASS = 2 };

#endif
