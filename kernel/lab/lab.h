/* What the lab's programs and the lab share: control block, counters, one snapshot. */
#ifndef RXPOOL_KERNEL_LAB_LAB_H
#define RXPOOL_KERNEL_LAB_LAB_H

#include <linux/types.h>

#include "kernel/live/pool_snapshot.h"

#define LAB_REASONS 160

/* One entry of the send schedule: time from the begin in ns (40 bits), flow (16), source (8). The pacer replaces the
 * time by the one at which it sent. */
#define LAB_ENTRY(time, flow, source) ((time) << 24 | (flow) << 8 | (source))
#define LAB_ENTRY_TIME(entry) ((entry) >> 24)
#define LAB_ENTRY_FLOW(entry) (((entry) >> 8) & 0xffff)
#define LAB_ENTRY_SOURCE(entry) ((entry) & 0xff)

struct LabControl {
  __u64 begin_ns; /* CLOCK_MONOTONIC; 0: send nothing yet */
  __u64 entries;
  __u32 ifindex;       /* where generated frames go */
  __u32 generator_tid; /* whose first page names the pool under test */
  __u32 netns;         /* inode of the lab's network namespace */
  __u32 receiver;      /* ifindex of the receiving end */
  __u32 remote_cpu;    /* where the program to_cpu sends */
  __s32 cpu_map;       /* id of its map */
  __u32 receivers_pool; /* the pool under test is the receiving queue's own */
  __u32 unused;
  __u16 ports[256];    /* destination port of each source, network order */
};

struct LabCounters {
  __u64 pool; /* address of the pool under test */
  __u64 next; /* schedule entry to send next */
  __u64 sent;
  __u64 last_due_ns;
  __u64 pool_holds, pool_releases;
  __u64 polls, full_polls, poll_work;
  __u64 devmap_sent, devmap_drops;
  __u64 redirect_errors, xdp_exceptions;
  __u64 cpumap_processed, cpumap_drops;
  __u64 pages_allocated, pages_freed, pcp_refilled, pcp_drained;
  __s64 peak_held;  /* of all ends of a poll */
  __u64 timer_ticks; /* of the sampler; its next place */
  __u64 skb_drops[LAB_REASONS];
};

/* The programs' only variable. */
struct LabShared {
  struct LabControl control;
  struct LabCounters counters;
  struct PoolSnapshot latest;
};

#endif
