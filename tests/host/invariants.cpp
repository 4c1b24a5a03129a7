#include "tests/host/invariants.hpp"

#include <algorithm>

#include "models/fate.hpp"

namespace rxpool {

Numbers numbers_of(Host& host) {
  Numbers numbers;
  for (const auto& nic : host.nics()) {
    NicNumbers made;
    made.name = nic->component;
    made.arrived = nic->port->stats().rx_packets_phy;
    made.discards = nic->port->stats().rx_discards_phy;
    made.waiting = nic->port->waiting();
    for (std::uint32_t i = 0; i < nic->queues.size(); ++i) {
      RxQueue& queue = *nic->queues[i].queue;
      made.out_of_buffer += nic->port->queue(i).out_of_buffer;
      const RxQueueStats& stats = queue.stats();
      const std::uint64_t redirected = queue.redirect().stats().redirect + queue.redirect().stats().redirect_err;
      made.queues.push_back({queue.name(), stats.rx_packets,
                             stats.xdp_drop + stats.xdp_tx + stats.xdp_tx_full + stats.xdp_tx_egress + redirected,
                             stats.xdp_aborted, stats.skb_alloc_fail, stats.polls, queue.ring().size(),
                             queue.ring().missing(), queue.ring().fill(), queue.ring().completed()});
      numbers.to_stack += stats.rx_packets - stats.xdp_drop - stats.xdp_aborted - stats.skb_alloc_fail - stats.xdp_tx -
                          stats.xdp_tx_full - stats.xdp_tx_egress - redirected - queue.gate().refused -
                          queue.gate().refused_hard;
      numbers.frames_out += stats.xdp_tx_egress;
      if (nic->queues[i].xdp_tx != nullptr) {
        const TxQueue& out = *nic->queues[i].xdp_tx;
        numbers.frames_out += stats.xdp_tx;
        numbers.frames_left += out.stats().transmitted;
        numbers.frames_flying += out.in_flight();
      }
      if (nic->queues[i].xmit != nullptr) {
        const TxQueue& out = *nic->queues[i].xmit;
        numbers.frames_left += out.stats().transmitted;
        numbers.frames_flying += out.in_flight();
      }
      std::uint64_t in_bulks = 0;
      queue.redirect().cpus().for_each_frame([&](SkbId) { ++in_bulks; });
      numbers.skbs_queued += in_bulks;
      numbers.to_cpus += in_bulks;
      if (nic->cpumap.empty()) numbers.frames_out += queue.redirect().stats().redirect;
      if (!nic->cpumap.empty()) numbers.redirected_to_cpus += queue.redirect().stats().redirect;
      numbers.frames_left += queue.redirect().stats().drops + queue.redirect().stats().egress_drops;
      queue.redirect().for_each_frame([&](const XdpFrame&) { ++numbers.frames_flying; });
      numbers.in_stack += queue.undelivered().size();
      PagePool* pool = nic->queues[i].pool;
      if (pool == nullptr) continue;
      PoolNumbers p;
      p.name = queue.name();
      p.hold = pool->hold_cnt();
      p.release = pool->release_cnt();
      p.inflight = pool->inflight();
      p.cache = pool->cache_count();
      p.ring = pool->ring_count();
      p.posted = queue.buffers().posted();
      p.held = queue.buffers().held();
      p.fast = pool->stats.alloc_fast;
      p.refill = pool->stats.alloc_refill;
      p.slow = pool->stats.alloc_slow;
      p.slow_high_order = pool->stats.alloc_slow_high_order;
      p.empty = pool->stats.alloc_empty;
      p.state_hold_events = pool->stats.page_pool_state_hold;
      p.state_release_events = pool->stats.page_pool_state_release;
      p.cached = pool->stats.recycle_cached;
      p.to_ring = pool->stats.recycle_ring;
      p.released_refcnt = pool->stats.recycle_released_refcnt;
      p.ring_full = pool->stats.recycle_ring_full;
      numbers.pools.push_back(p);
    }
    for (const auto& entry : nic->cpumap) {
      const CpumapStats& stats = entry->stats();
      numbers.to_cpus += stats.enqueue_processed;
      numbers.cpumap_ends += stats.enqueue_drops + stats.xdp_drop + entry->queued();
      numbers.cpumap_taken += stats.kthread_processed - stats.xdp_drop;
      numbers.cpumap_processed += stats.enqueue_processed;
      std::uint64_t held = 0;
      entry->for_each_held([&](SkbId) { ++held; });
      numbers.skbs_queued += held;
      numbers.in_stack += held - entry->queued();
    }
    numbers.nics.push_back(std::move(made));
  }
  numbers.steering_drops = host.journal().count(Fate::rx_steering_drop);
  for (const auto& core : host.cores()) {
    const SoftnetStats& stats = core->softirq().stats();
    numbers.cpus.push_back(
        {core->name(), stats.net_rx_action, stats.polls, stats.poll_work, host.scenario().kernel.netdev_budget});
  }
  numbers.skbs_live = host.slab().live();
  numbers.to_stack += numbers.cpumap_taken;
  for (const auto& nic : host.nics()) {
    for (HostQueue& queue : nic->queues) numbers.skbs_queued += queue.queue->undelivered().size();
  }
  host.skb_free().for_each_deferred([&](SkbId) { ++numbers.skbs_queued; });
  for (HostSocket& socket : host.sockets()) {
    const std::uint64_t kept = socket.socket->queued() + socket.socket->out_of_order();
    numbers.in_stack += kept;
    numbers.skbs_queued += kept + socket.reader->leaked().size() + (socket.reader->message_in_hand() ? 1 : 0);
  }
  for (const HostXsk& xsk : host.xsks()) {
    numbers.to_xsks += xsk.xsk->stats().received;
    numbers.frames_left += xsk.xsk->stats().received;
    numbers.xsk_ends += xsk.application->stats().delivered + xsk.application->waiting() + xsk.xsk->frames_received();
    numbers.delivered_by_xsks += xsk.application->stats().delivered;
  }
  std::uint64_t delivered_by_pmds = 0;
  for (const HostPmd& pmd : host.pmds()) {
    const PollModeStats& stats = pmd.driver->stats();
    numbers.to_pmds += stats.ipackets;
    numbers.pmd_ends += stats.delivered + stats.tx_burst_full + pmd.driver->in_hand();
    delivered_by_pmds += stats.delivered;
    if (pmd.transmit == nullptr) continue;
    numbers.pmd_ends += pmd.transmit->stats().posted;
    numbers.frames_out += pmd.transmit->stats().posted;
    numbers.frames_left += pmd.transmit->stats().transmitted;
    numbers.frames_flying += pmd.transmit->in_flight();
  }
  numbers.frames_left += host.journal().count(Fate::tx_discards_phy);
  numbers.delivered = host.journal().count(Fate::delivered) - numbers.delivered_by_xsks - delivered_by_pmds;
  for (const Fate fate : {Fate::netfilter_drop, Fate::no_socket, Fate::unhandled_proto, Fate::socket_rcvbuff,
                          Fate::tcp_old_data, Fate::proto_mem}) {
    numbers.stack_drops += host.journal().count(fate);
  }
  return numbers;
}

std::vector<std::string> violations(const Numbers& numbers) {
  std::vector<std::string> found;
  const auto check = [&](bool holds, const std::string& what) {
    if (!holds) found.push_back(what);
  };
  for (const PoolNumbers& pool : numbers.pools) {
    check(pool.hold - pool.release == pool.inflight, "2 hold - release = inflight: " + pool.name);
    check(pool.inflight == pool.cache + pool.ring + pool.posted + pool.held, "2 inflight by places: " + pool.name);
    check(pool.inflight >= 0 && pool.held >= 0, "2 never negative: " + pool.name);
    check(pool.cache >= 0 && pool.cache <= static_cast<std::int64_t>(pool.cache_size), "3 cache size: " + pool.name);
    check(pool.hold <= static_cast<std::int64_t>(pool.cache_refill * pool.slow + pool.slow_high_order),
          "4 pages per slow call: " + pool.name);
    // Every page that left the cache came in by a slow call, a refill of at most 64, or a direct return (3, 4).
    const std::uint64_t taken = pool.fast + pool.refill + pool.slow + pool.slow_high_order;
    const std::uint64_t given = pool.cache_refill * (pool.slow + pool.refill) + pool.slow_high_order + pool.cached;
    check(taken <= given, "4 allocations have a source: " + pool.name);
    check(taken + static_cast<std::uint64_t>(pool.cache) >= static_cast<std::uint64_t>(pool.hold),
          "4 a page that is held was allocated or is in the cache: " + pool.name);
    check(pool.state_hold_events == static_cast<std::uint64_t>(pool.hold) &&
              pool.state_release_events == static_cast<std::uint64_t>(pool.release),
          "12 tracepoints: " + pool.name);
    check(pool.ring_full <= static_cast<std::uint64_t>(pool.release), "13 ring_full: " + pool.name);
  }
  for (const CpuNumbers& cpu : numbers.cpus) {
    check(cpu.poll_work <= 64 * cpu.polls, "8 work per poll: " + cpu.name);
    check(cpu.poll_work <= (cpu.budget + 63) * cpu.net_rx_action, "8 work per pass: " + cpu.name);
  }
  std::uint64_t arrived = 0;
  std::uint64_t found_again = numbers.steering_drops + numbers.to_pmds;
  for (const NicNumbers& nic : numbers.nics) {
    arrived += nic.arrived;
    found_again += nic.discards + nic.out_of_buffer + nic.waiting;
    for (const QueueNumbers& queue : nic.queues) {
      found_again += queue.seen + queue.ring_completed;
      check(queue.seen <= 64 * queue.polls, "8 packets per poll: " + queue.name);
      check(queue.seen >= queue.xdp_drop + queue.xdp_aborted + queue.skb_alloc_failed, "9 verdicts: " + queue.name);
      check(queue.ring_missing + queue.ring_fill + queue.ring_completed == queue.ring_size, "ring: " + queue.name);
    }
  }
  check(arrived == found_again, "9 packets of the NICs");
  check(numbers.frames_out == numbers.frames_left + numbers.frames_flying, "10 frames of the TX rings");
  check(numbers.redirected_to_cpus == numbers.to_cpus, "9 frames on their way to CPUs");
  check(numbers.to_xsks == numbers.xsk_ends, "9 packets of the AF_XDP sockets");
  check(numbers.to_pmds == numbers.pmd_ends, "9 packets of the poll-mode drivers");
  check(numbers.cpumap_processed == numbers.cpumap_taken + numbers.cpumap_ends, "9 frames of the cpumaps");
  check(numbers.to_stack == numbers.delivered + numbers.stack_drops + numbers.in_stack, "9 packets of the stack");
  check(numbers.skbs_live == numbers.skbs_queued, "9 skbs");
  return found;
}

}  // namespace rxpool
