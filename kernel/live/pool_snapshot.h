/* Readings of one page_pool, written by a program and read by who asked for them. */
#ifndef RXPOOL_KERNEL_LIVE_POOL_SNAPSHOT_H
#define RXPOOL_KERNEL_LIVE_POOL_SNAPSHOT_H

#include <linux/types.h>

#define POOL_READS 5
#define POOL_ATTEMPTS 32

struct PoolRead {
  __u32 hold, release, cache, ring;
};

struct PoolSnapshot {
  __u64 time_ns;
  __u32 count; /* readings taken; fewer than POOL_READS if the pool never stood still */
  struct PoolRead reads[8];
};

#endif
