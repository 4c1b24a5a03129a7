/* What the programs on an attached NIC and their loader share. */
#ifndef RXPOOL_KERNEL_ATTACH_ATTACH_H
#define RXPOOL_KERNEL_ATTACH_ATTACH_H

#include <linux/types.h>

#include "kernel/live/pool_snapshot.h"

#define ATTACH_POOLS 64
#define ATTACH_NAME 32

/* One packet as XDP met it; no address is kept. */
struct AttachPacket {
  __u64 time_ns; /* since the begin */
  __u16 length;  /* without FCS */
  __u16 port;    /* UDP or TCP destination port, 0 otherwise */
  __u16 flow;    /* of addresses and ports */
  __u8 queue;
  __u8 protocol;
};

/* A page_pool of the NIC, found by the pages that it took. */
struct AttachPool {
  __u64 address;
  __u64 holds; /* since it was found */
  __u32 gone;  /* released with nothing in flight: its memory is no longer a pool */
  __u32 unused;
};

struct AttachControl {
  __u64 begin_ns; /* CLOCK_MONOTONIC; 0: record nothing yet */
  __u64 packets;  /* room for */
  __u32 verdict;  /* where no policy is */
  __u32 pool;     /* that the next snapshot reads */
  char devices[2][ATTACH_NAME]; /* names of the NIC's device and of its parent, either of which its pools map for */
};

struct AttachCounters {
  __u64 seen; /* packets that XDP met, recorded or not */
  __u32 pools;
  __u32 pools_lost; /* found without room */
};

struct AttachShared {
  struct AttachControl control;
  struct AttachCounters counters;
  struct AttachPool pools[ATTACH_POOLS];
  struct PoolSnapshot latest;
};

#endif
