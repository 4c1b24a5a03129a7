// Probes of the guest: every outermost call of a page_pool function becomes one record with the pool's counters after
// it. Calls that allocate or return are let in one CPU at a time (an interrupt of the same CPU passes): in the kernel
// they only exclude each other within parts, and a log that cannot say in which order two parts happened could not be
// replayed.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "pool_calls.bpf.h"
#include "pool_log.h"

// --- creation and end ---

static __always_inline void record_creation(struct page_pool* pool) {
  struct OpenCall* call = enter(pool, POOL_LOG_CREATE);
  if (call) {
    struct PoolLogOp* op = &call->record.op;
    op->order = BPF_CORE_READ(pool, p.order);
    op->pool_size = BPF_CORE_READ(pool, p.pool_size);
    op->argument = BPF_CORE_READ(pool, ring.size);
    op->header.flags |= (BPF_CORE_READ_BITFIELD_PROBED(pool, dma_map) ? POOL_LOG_DMA_MAP : 0) |
                        (BPF_CORE_READ_BITFIELD_PROBED(pool, dma_sync) ? POOL_LOG_DMA_SYNC : 0) |
                        (BPF_CORE_READ_BITFIELD_PROBED(pool, system) ? POOL_LOG_SYSTEM : 0);
    finish(call, call_key(preempt_count()));
  }
}

SEC("fexit/page_pool_create_percpu")
int BPF_PROG(created, const struct page_pool_params* params, int cpuid, struct page_pool* pool) {
  if ((long)pool < -4095L || (long)pool >= 0) {
    record_creation(pool);
  }
  return 0;
}

// The pools that every CPU has since boot enter the log if nobody has used them yet: then they are as good as new.
SEC("syscall")
int introduce(void* ctx) {
  for (__u32 cpu = 0; cpu < 4; ++cpu) {
    struct page_pool* pool = 0;
    if (cpu >= constants.cpu_count || !&system_page_pool ||
        bpf_probe_read_kernel(&pool, sizeof(pool), of_cpu(cpu, &system_page_pool)) || !pool) {
      continue;
    }
    if (BPF_CORE_READ(pool, pages_state_hold_cnt) == 0) {
      record_creation(pool);
    }
  }
  return 0;
}

SEC("fentry/page_pool_disable_direct_recycling")
int BPF_PROG(disable_enter, struct page_pool* pool) {
  enter(pool, POOL_LOG_DISABLE_DIRECT);
  return 0;
}
SEC("fexit/page_pool_disable_direct_recycling")
int BPF_PROG(disable_exit) {
  return leave();
}

static __always_inline void read_fragment(struct page_pool* pool, struct PoolLogOp* op) {
  netmem_ref current = BPF_CORE_READ(pool, frag_page);
  op->frag_page = page_index(current);
  if (current) {
    __u64 references = 0;
    read_page(current, &op->refcount, &references, &op->header.flags);
    op->pp_ref_count = references;
  }
}

SEC("fentry/page_pool_destroy")
int BPF_PROG(destroy_enter, struct page_pool* pool) {
  struct OpenCall* call = pool ? enter(pool, POOL_LOG_DESTROY) : 0;
  if (call) {
    read_fragment(pool, &call->record.op);
  }
  return 0;
}
SEC("fexit/page_pool_destroy")
int BPF_PROG(destroy_exit, struct page_pool* pool) {
  return pool ? leave() : 0;
}

// Inside destroy or retry, and a call of its own in the log, because returns of other CPUs come before and after it.
#define SCRUB_KEY (1ULL << 42)

SEC("fentry/page_pool_release")
int BPF_PROG(scrub_enter, struct page_pool* pool) {
  __u64 key = call_key(preempt_count());
  struct OpenCall* outer = bpf_map_lookup_elem(&open_calls, &key);
  struct OpenCall* call = enter_as(pool, POOL_LOG_SCRUB, SCRUB_KEY);
  if (call && outer && outer->record.op.header.kind == POOL_LOG_DESTROY) {
    struct PoolLogOp* op = &call->record.op;
    op->header.flags |= POOL_LOG_DESTROYING;
    op->frag_page = outer->record.op.frag_page;
    op->refcount = outer->record.op.refcount;
    op->pp_ref_count = outer->record.op.pp_ref_count;
  }
  return 0;
}
SEC("fexit/page_pool_release")
int BPF_PROG(scrub_exit, struct page_pool* pool, int inflight) {
  __u64 key = call_key(preempt_count()) | SCRUB_KEY;
  struct OpenCall* call = bpf_map_lookup_elem(&open_calls, &key);
  if (call) {
    call->record.op.argument = inflight;
    finish(call, key);
  }
  return 0;
}

SEC("fentry/page_pool_release_retry")
int BPF_PROG(retry_enter) {
  enter(0, POOL_LOG_RETRY);
  return 0;
}
SEC("fexit/page_pool_release_retry")
int BPF_PROG(retry_exit) {
  return leave();
}

SEC("fentry/page_pool_update_nid")
int BPF_PROG(nid_enter, struct page_pool* pool, int nid) {
  struct OpenCall* call = enter(pool, POOL_LOG_UPDATE_NID);
  if (call) {
    call->record.op.argument = nid;
  }
  return 0;
}
SEC("fexit/page_pool_update_nid")
int BPF_PROG(nid_exit) {
  return leave();
}

// --- allocation ---

SEC("fentry/page_pool_alloc_netmems")
int BPF_PROG(alloc_enter, struct page_pool* pool) {
  enter(pool, POOL_LOG_ALLOC);
  return 0;
}
SEC("fexit/page_pool_alloc_netmems")
int BPF_PROG(alloc_exit, struct page_pool* pool, unsigned int gfp, netmem_ref netmem) {
  __u64 key;
  struct OpenCall* call = leaving(&key);
  if (call) {
    call->record.op.header.page = page_index(netmem);
    finish(call, key);
  }
  return 0;
}

SEC("fentry/page_pool_alloc_pages")
int BPF_PROG(alloc_pages_enter, struct page_pool* pool) {
  enter(pool, POOL_LOG_ALLOC);
  return 0;
}
SEC("fexit/page_pool_alloc_pages")
int BPF_PROG(alloc_pages_exit, struct page_pool* pool, unsigned int gfp, struct page* page) {
  __u64 key;
  struct OpenCall* call = leaving(&key);
  if (call) {
    call->netmem = (__u64)page;
    call->record.op.header.page = page_index(call->netmem);
    finish(call, key);
  }
  return 0;
}

static __always_inline void frag_enter(struct page_pool* pool, unsigned int size) {
  struct OpenCall* call = enter(pool, POOL_LOG_ALLOC_FRAG);
  if (call) {
    struct PoolLogOp* op = &call->record.op;
    op->argument = size;
    read_fragment(pool, op);
  }
}

static __always_inline void frag_exit(struct page_pool* pool, unsigned int* offset, __u64 page) {
  __u64 key;
  struct OpenCall* call = leaving(&key);
  if (call) {
    call->netmem = page;
    netmem_ref netmem = call->netmem;
    struct PoolLogOp* op = &call->record.op;
    op->header.page = page_index(netmem);
    bpf_probe_read_kernel(&op->result_offset, sizeof(op->result_offset), offset);
    op->frag_offset = BPF_CORE_READ(pool, frag_offset);
    op->frag_users = BPF_CORE_READ(pool, frag_users);
    finish(call, key);
  }
}

SEC("fentry/page_pool_alloc_frag_netmem")
int BPF_PROG(frag_netmem_enter, struct page_pool* pool, unsigned int* offset, unsigned int size) {
  frag_enter(pool, size);
  return 0;
}
SEC("fexit/page_pool_alloc_frag_netmem")
int BPF_PROG(frag_netmem_exit, struct page_pool* pool, unsigned int* offset, unsigned int size, unsigned int gfp,
             netmem_ref netmem) {
  frag_exit(pool, offset, netmem);
  return 0;
}
SEC("fentry/page_pool_alloc_frag")
int BPF_PROG(frag_page_enter, struct page_pool* pool, unsigned int* offset, unsigned int size) {
  frag_enter(pool, size);
  return 0;
}
SEC("fexit/page_pool_alloc_frag")
int BPF_PROG(frag_page_exit, struct page_pool* pool, unsigned int* offset, unsigned int size, unsigned int gfp,
             struct page* page) {
  frag_exit(pool, offset, (__u64)page);
  return 0;
}

// --- return ---

static __always_inline void put_enter(struct page_pool* pool, __u64 page, int sync_size, _Bool allow_direct) {
  struct OpenCall* call = enter(pool, POOL_LOG_PUT);
  if (call) {
    call->netmem = page;
    netmem_ref netmem = call->netmem;
    struct PoolLogOp* op = &call->record.op;
    __u64 references = 0;
    op->header.page = page_index(netmem);
    op->argument = sync_size;
    op->header.flags |= allow_direct ? POOL_LOG_ALLOW_DIRECT : 0;
    read_page(netmem, &op->refcount, &references, &op->header.flags);
    op->pp_ref_count = references;
  }
}

SEC("fentry/page_pool_put_unrefed_netmem")
int BPF_PROG(put_netmem_enter, struct page_pool* pool, netmem_ref netmem, unsigned int size, _Bool direct) {
  put_enter(pool, netmem, size, direct);
  return 0;
}
SEC("fexit/page_pool_put_unrefed_netmem")
int BPF_PROG(put_netmem_exit) {
  return leave();
}
SEC("fentry/page_pool_put_unrefed_page")
int BPF_PROG(put_page_enter, struct page_pool* pool, struct page* page, unsigned int size, _Bool direct) {
  put_enter(pool, (__u64)page, size, direct);
  return 0;
}
SEC("fexit/page_pool_put_unrefed_page")
int BPF_PROG(put_page_exit) {
  return leave();
}

SEC("fentry/page_pool_put_netmem_bulk")
int BPF_PROG(bulk_enter, netmem_ref* data, __u32 count) {
  netmem_ref first = 0;
  bpf_probe_read_kernel(&first, sizeof(first), data);
  struct page* page = (struct page*)(first & ~3UL);
  struct page_pool* pool = BPF_CORE_READ(page, pp);
  struct OpenCall* call = enter(pool, POOL_LOG_PUT_BULK);
  if (!call) {
    return 0;
  }
  call->record.op.argument = count;
  call->length = sizeof(struct PoolLogBulk);
  for (__u32 i = 0; i < POOL_LOG_BULK; ++i) {
    if (i >= count) {
      break;
    }
    netmem_ref netmem = 0;
    bpf_probe_read_kernel(&netmem, sizeof(netmem), data + i);
    struct PoolLogItem* item = &call->record.items[i];
    struct page* one = (struct page*)(netmem & ~3UL);
    __u16 flags = 0;
    __u64 references = 0;
    item->page = page_index(netmem);
    item->pool = BPF_CORE_READ(one, pp, user.id);
    read_page(netmem, &item->refcount, &references, &flags);
    item->pp_ref_count = references;
    item->flags = flags;
  }
  return 0;
}
SEC("fexit/page_pool_put_netmem_bulk")
int BPF_PROG(bulk_exit) {
  return leave();
}

// --- entry to and exit from the pool ---

static __always_inline void crossing(const struct page_pool* pool, netmem_ref netmem, __u32 count, __u8 kind) {
  if (!state.armed) {
    return;
  }
  // First of all: an interrupt from here on comes after it.
  __u64 seq = __sync_fetch_and_add(&state.next_seq, 1);
  struct PoolLogHold* record = bpf_ringbuf_reserve(&pool_log, sizeof(*record), 0);
  if (!record) {
    __sync_fetch_and_add(&state.lost, 1);
    return;
  }
  unsigned long flags = 0;
  bpf_probe_read_kernel(&flags, sizeof(flags), (void*)(netmem & ~3UL));
  record->header.size = sizeof(*record);
  record->header.kind = kind;
  record->header.cpu = bpf_get_smp_processor_id();
  record->header.flags = 0;
  record->header.pool = BPF_CORE_READ(pool, user.id);
  record->header.page = page_index(netmem);
  record->header.time_ns = bpf_ktime_get_ns();
  record->header.enter_seq = record->header.exit_seq = seq;
  record->node = flags >> constants.node_shift;
  record->count = count;
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

SEC("tp_btf/page_pool_state_hold")
int BPF_PROG(state_hold, const struct page_pool* pool, netmem_ref netmem, __u32 hold) {
  crossing(pool, netmem, hold, POOL_LOG_HOLD);
  return 0;
}

SEC("tp_btf/page_pool_state_release")
int BPF_PROG(state_release, const struct page_pool* pool, netmem_ref netmem, __u32 release) {
  crossing(pool, netmem, release, POOL_LOG_RELEASE);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
