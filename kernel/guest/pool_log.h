/* Record format of the guest's page_pool log, shared by the probes (BPF, C) and the replay (C++). One PoolOp per outermost
 * call of a page_pool function, written when the call returns: its inputs as seen at entry and the pool's counters as
 * seen at return. `enter_seq` and `exit_seq` come from one counter of the whole guest, so calls that overlapped (an
 * interrupt, the other CPU) are known. Pages are named by their index in the kernel's page array. */
#ifndef RXPOOL_KERNEL_GUEST_POOL_LOG_H
#define RXPOOL_KERNEL_GUEST_POOL_LOG_H

#ifndef __BPF__
#include <stdint.h>
typedef uint8_t log_u8;
typedef uint16_t log_u16;
typedef uint32_t log_u32;
typedef uint64_t log_u64;
typedef int32_t log_s32;
typedef int64_t log_s64;
#else
typedef unsigned char log_u8;
typedef unsigned short log_u16;
typedef unsigned int log_u32;
typedef unsigned long long log_u64;
typedef int log_s32;
typedef long long log_s64;
#endif

enum PoolLogKind {
  POOL_LOG_CREATE = 1,
  POOL_LOG_ALLOC,          /* page_pool_alloc_netmems */
  POOL_LOG_ALLOC_FRAG,     /* page_pool_alloc_frag_netmem */
  POOL_LOG_PUT,            /* page_pool_put_unrefed_netmem */
  POOL_LOG_PUT_BULK,       /* page_pool_put_netmem_bulk */
  POOL_LOG_UPDATE_NID,     /* page_pool_update_nid */
  POOL_LOG_DISABLE_DIRECT, /* page_pool_disable_direct_recycling */
  POOL_LOG_DESTROY,        /* page_pool_destroy; what it frees is in the scrub inside it */
  POOL_LOG_RETRY,          /* page_pool_release_retry, likewise */
  POOL_LOG_SCRUB,          /* page_pool_release */
  POOL_LOG_HOLD,           /* tracepoint page_pool_state_hold */
  POOL_LOG_RELEASE,        /* tracepoint page_pool_state_release */
  POOL_LOG_GAP,            /* no call: of the numbers from enter_seq to exit_seq some calls were not seen */
};

enum PoolLogFlag {
  POOL_LOG_IN_SOFTIRQ = 1,
  POOL_LOG_SERVING_SOFTIRQ = 2,
  POOL_LOG_ALLOW_DIRECT = 4,
  POOL_LOG_PFMEMALLOC = 8,
  POOL_LOG_HAS_NAPI = 16,
  POOL_LOG_DMA_MAP = 32,
  POOL_LOG_DMA_SYNC = 64,
  POOL_LOG_SYSTEM = 128,
  POOL_LOG_DESTROYING = 256, /* scrub inside page_pool_destroy, not inside a retry */
  POOL_LOG_BESIDE = 512,     /* let in beside another CPU's call, after a wait too long */
};

#define POOL_LOG_BULK 16

/* Counters of a pool. */
struct PoolLogCounts {
  log_u32 hold, release, cache, ring;
  log_u32 fast, slow, slow_high_order, empty, refill, waive;
  log_u32 cached, cache_full, recycled_ring, ring_full, released_refcnt;
  log_u32 looks_full; /* the producer's next slot is taken */
};

struct PoolLogHeader {
  log_u32 size;
  log_u8 kind, cpu;
  log_u16 flags;
  log_u32 pool; /* user.id */
  log_u32 page;
  log_u64 time_ns;
  log_u64 enter_seq, exit_seq;
};

struct PoolLogHold {
  struct PoolLogHeader header;
  log_u32 node, count;
};

struct PoolLogOp {
  struct PoolLogHeader header;
  struct PoolLogCounts counts;
  log_s32 list_owner; /* of the pool's NAPI, -1 without */
  log_s32 cpuid;
  log_s32 argument;   /* sync size, new nid, ring size, fragment size, inflight, bulk count */
  log_u32 refcount;   /* of the page */
  log_u32 numa_mem;   /* memory node of this CPU */
  log_s32 nid;        /* p.nid */
  log_u32 order, pool_size;
  log_u32 frag_page, frag_offset;
  log_s64 frag_users;
  log_s64 pp_ref_count; /* of the page, or of the current fragmented page at entry */
  log_u32 result_offset, unused;
};

struct PoolLogItem {
  log_u32 page, pool, refcount, flags;
  log_s64 pp_ref_count;
};

struct PoolLogBulk {
  struct PoolLogOp op;
  struct PoolLogItem items[POOL_LOG_BULK];
};

/* The probes' own variables. */
struct PoolLogState {
  log_u64 next_seq;
  log_u64 lost;  /* records without room in the ring buffer, calls without a slot */
  log_u64 armed;
  log_u32 owner;   /* CPU + 1 that is inside an exclusive call */
  log_u32 overran; /* calls that waited long enough and went in beside another CPU's */
};

/* Set before loading. */
struct PoolLogConstants {
  log_u32 cpu_count;  /* per-CPU recycle statistics to add up, at most 4 */
  log_u32 node_shift; /* where the memory node starts in page->flags */
};

#endif
