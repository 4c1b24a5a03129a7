/* Record format of the log of per-CPU page lists, in the same frame as the page_pool log (pool_log.h): one ListLogOp per
 * free to a list and per decay of one, with the list's numbers before and after. header.pool names the zone, header.page
 * the page by its index in the kernel's page array. */
#ifndef RXPOOL_KERNEL_GUEST_LIST_LOG_H
#define RXPOOL_KERNEL_GUEST_LIST_LOG_H

#include "pool_log.h"

enum ListLogKind {
  LIST_LOG_FREE = 32, /* free_frozen_page_commit, under the list's lock */
  LIST_LOG_DECAY,     /* decay_pcp_high, which takes the lock inside */
};

enum ListLogFlag {
  LIST_LOG_BELOW_HIGH = 1,
  LIST_LOG_RECLAIM_ACTIVE = 2,
};

struct ListLogCounts {
  log_s32 count, high, high_min, high_max, batch;
  log_s32 alloc_factor, free_count;
  log_u32 prev_free_high_order;
};

struct ListLogOp {
  struct PoolLogHeader header;
  struct ListLogCounts before, after;
  log_u32 order, type;
  log_u32 given; /* mm_page_pcpu_drain meanwhile: pages or blocks that went to the buddy lists */
  log_u32 unused;
};

#endif
