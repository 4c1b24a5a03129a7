#include "models/metric_table.hpp"

namespace rxpool {
namespace {

using enum MetricKind;

constexpr MetricDefinition definitions[] = {
    // The port.
    {"rx_packets_phy", "packets", counter, "frames received on the wire", "mlx5 counters.rst"},
    {"rx_bytes_phy", "bytes", counter, "bytes of these, with FCS", "mlx5 counters.rst"},
    {"rx_discards_phy", "packets", counter, "dropped: the NIC's packet buffer was full", "mlx5 counters.rst"},
    {"rx_steering_drop", "packets", counter, "dropped by an ntuple rule", "ethtool -N action -1"},
    {"carrier_errors", "packets", counter, "frames sent while the link was down, lost at the sender", "rxpool"},
    {"offered_pps", "packets/s", derived, "frames that arrived on the wire per second", "rxpool"},
    {"llc_dma_write_misses", "lines", counter, "DMA writes whose line was not in the LLC (PCIe write miss)",
     "Intel PCM"},
    {"llc_dma_writes", "lines", counter, "DMA writes of packet lines", "Intel PCM"},
    {"llc_read_misses", "lines", counter, "first reads of packet data that went to memory", "perf LLC-load-misses"},
    {"llc_reads", "lines", counter, "first reads of packet data", "perf LLC-loads"},
    // RX queues.
    {"rx_packets", "packets", counter, "packets the driver has seen, those consumed by XDP included",
     "qstats rx-packets"},
    {"rx_bytes", "bytes", counter, "bytes of these, with FCS", "qstats rx-bytes"},
    {"rx_pps", "packets/s", derived, "packets the driver has seen per second", "rxpool"},
    {"rx_out_of_buffer", "packets", counter, "dropped: no posted descriptor", "mlx5 rx_out_of_buffer"},
    {"rx_no_dma_resources", "packets", counter, "dropped: no posted descriptor", "ixgbe"},
    {"port_rx_dropped", "packets", counter, "dropped: no posted descriptor", "i40e port.rx_dropped"},
    {"rx_dropped", "packets", counter, "dropped: no posted descriptor", "ice, mlx4, vmxnet3"},
    {"hw_drop_overruns", "packets", counter, "dropped: no posted descriptor", "virtio_net device stats"},
    {"tx_xdp_xmit_errors", "packets", counter, "dropped at the sending end: the ptr_ring was full", "veth"},
    {"buff_alloc_err", "events", counter, "refills that did not get memory", "mlx5 rx_buff_alloc_err"},
    {"alloc_rx_page_failed", "events", counter, "refills that did not get memory", "ixgbe"},
    {"rx_pg_alloc_fail", "events", counter, "refills that did not get memory", "i40e, ice"},
    {"rx_alloc_fail", "events", counter, "refills that did not get memory", "qstats rx-alloc-fail"},
    {"skb_alloc_failed", "packets", counter, "dropped by the driver: no memory for the skb or its copy", "driver"},
    {"page_reuse_count", "pages", counter, "half-page flip: page kept for the other half", "i40e rx_cache_reuse"},
    {"page_alloc_count", "pages", counter, "pages newly allocated by flip or fragments", "i40e rx_cache_alloc"},
    {"page_busy_count", "pages", counter, "half-page flip: other half still in use", "i40e rx_cache_busy"},
    {"xdp_drop", "packets", counter, "verdict XDP_DROP", "mlx5 rx_xdp_drop"},
    {"xdp_aborted", "packets", counter, "verdict XDP_ABORTED or unknown", "tracepoint xdp:xdp_exception"},
    {"xdp_pass", "packets", counter, "verdict XDP_PASS", "rxpool"},
    {"interrupts", "events", counter, "hard interrupts", "/proc/interrupts"},
    {"polls", "events", counter, "NAPI polls", "tracepoint napi:napi_poll"},
    {"rx_latency", "ns", level, "from the wire to the end of the driver's XDP or receive step", "rxpool"},
    {"held", "pages", level, "pages that somebody downstream keeps", "rxpool"},
    {"posted", "pages", level, "pages in RX descriptors", "rxpool"},
    {"rx_fill", "descriptors", level, "descriptors the NIC can still use", "rxpool"},
    {"rx_usecs", "us", level, "moderation setting in force", "ethtool -c"},
    // page_pool.
    {"inflight", "pages", level, "hold - release", "netlink page-pool-get inflight"},
    {"pool_cache", "pages", level, "pages in the alloc cache", "page_pool alloc.count"},
    {"pool_ring", "pages", level, "pages in the ptr_ring", "page_pool ring"},
    {"alloc_fast", "events", counter, "allocations from the cache (PP-10)", "page_pool"},
    {"alloc_slow", "events", counter, "slow-path calls that succeeded, one per bulk (PP-13)", "page_pool"},
    {"alloc_slow_high_order", "events", counter, "slow-path calls of order > 0", "page_pool"},
    {"alloc_empty", "events", counter, "refills that found an empty ring (PP-12)", "page_pool"},
    {"alloc_refill", "events", counter, "refills of the cache from the ring (PP-11)", "page_pool"},
    {"alloc_waive", "events", counter, "pages of another node given away at refill", "page_pool"},
    {"recycle_cached", "pages", counter, "returned into the cache (PP-24)", "page_pool"},
    {"recycle_cache_full", "pages", counter, "found the cache full, tried the ring", "page_pool"},
    {"recycle_ring", "pages", counter, "returned into the ring (PP-25)", "page_pool"},
    {"recycle_ring_full", "events", counter, "found the ring full", "page_pool"},
    {"recycle_released_refcnt", "pages", counter, "released: somebody else holds a reference (PP-23)", "page_pool"},
    {"alloc_failed", "events", counter, "allocations that failed; no kernel counter (PP-13)", "rxpool"},
    {"page_pool_state_hold", "events", counter, "tracepoint page_pool_state_hold", "page_pool"},
    {"page_pool_state_release", "events", counter, "tracepoint page_pool_state_release", "page_pool"},
    // CPUs.
    {"busy_hardirq", "%", derived, "CPU time in hard interrupts", "/proc/stat irq"},
    {"busy_softirq", "%", derived, "CPU time in softirqs on top of others", "/proc/stat softirq"},
    {"busy_ksoftirqd", "%", derived, "CPU time of ksoftirqd", "/proc/<pid>/stat"},
    {"busy_kthread", "%", derived, "CPU time of NAPI threads and other kernel threads", "/proc/<pid>/stat"},
    {"busy_application", "%", derived, "CPU time of applications", "/proc/stat user+system"},
    {"busy", "%", derived, "CPU time not idle", "/proc/stat"},
    {"step_time", "ps", counter, "CPU time of one step in one context", "rxpool"},
    {"hard_interrupts", "events", counter, "interrupts taken, ticks and IPIs not counted", "/proc/interrupts"},
    {"ipis", "events", counter, "inter-processor interrupts taken", "/proc/interrupts"},
    {"ticks", "events", counter, "timer ticks taken", "/proc/interrupts LOC"},
    {"context_switches", "events", counter, "switches to another thread", "/proc/stat ctxt"},
    {"processed", "packets", counter, "skbs through __netif_receive_skb_core", "/proc/net/softnet_stat"},
    {"time_squeeze", "events", counter, "net_rx_action left with work to do, or exactly at the limit (NA-12)",
     "/proc/net/softnet_stat"},
    {"net_rx_action", "events", counter, "passes of the NET_RX softirq", "tracepoint irq:softirq_entry"},
    {"ksoftirqd_wakeups", "events", counter, "softirqs handed to ksoftirqd", "rxpool"},
    // Memory.
    {"nr_free_pages", "pages", level, "free pages of the buddy lists", "/proc/vmstat"},
    {"pcp_pages", "pages", level, "pages in per-CPU lists", "/proc/zoneinfo"},
    {"pgalloc_normal", "pages", counter, "pages allocated", "/proc/vmstat"},
    {"pgfree", "pages", counter, "pages freed", "/proc/vmstat"},
    {"allocstall_normal", "events", counter, "direct reclaims", "/proc/vmstat"},
    {"pgsteal_kswapd", "pages", counter, "pages reclaimed by kswapd", "/proc/vmstat"},
    {"oom_kill", "events", counter, "OOM kills", "/proc/vmstat"},
    {"alloc_fail", "events", counter, "requests of the page allocator that failed", "rxpool"},
    {"bulk_calls", "events", counter, "alloc_pages_bulk calls", "rxpool"},
    {"bulk_single", "events", counter, "of these, fell back to one page (PA-31)", "rxpool"},
    // Stack and sockets.
    {"netfilter_drop", "packets", counter, "dropped by netfilter", "SKB_DROP_REASON_NETFILTER_DROP"},
    {"no_socket", "packets", counter, "dropped: closed port", "SKB_DROP_REASON_NO_SOCKET"},
    {"unhandled_proto", "packets", counter, "dropped: no such protocol here", "SKB_DROP_REASON_UNHANDLED_PROTO"},
    {"UdpNoPorts", "packets", counter, "UDP packets to a closed port", "/proc/net/snmp"},
    {"UdpInDatagrams", "packets", counter, "datagrams read by applications", "/proc/net/snmp"},
    {"UdpRcvbufErrors", "packets", counter, "dropped: the socket's receive buffer was full", "/proc/net/snmp"},
    {"delivered_pps", "packets/s", derived, "datagrams read per second", "rxpool"},
    {"rmem_alloc", "bytes", level, "receive memory charged to the socket", "ss -m"},
    {"socket_queue", "packets", level, "packets in the socket's queues", "ss"},
    {"socket_latency", "ns", level, "from the wire to the copy into the application", "rxpool"},
    {"skb_deferred", "packets", counter, "skbs left on the allocating CPU's list (SK-40)", "rxpool"},
    {"skb_defer_rejected", "packets", counter, "skbs freed at once: that list was full", "rxpool"},
};

}  // namespace

std::span<const MetricDefinition> metric_table() {
  return definitions;
}

}  // namespace rxpool
