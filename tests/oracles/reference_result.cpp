// What a run of the reference engine says about itself: both ledgers and the counters under the simulator's names.
#include "models/nic/driver_profile.hpp"
#include "sim/error.hpp"
#include "tests/oracles/reference_host.hpp"

namespace rxpool::reference {

Ledger ReferenceHost::packet_ledger() const {
  Ledger ledger;
  for (const auto& nic : nics_) {
    ledger.total += nic->rx_packets_phy;
    std::uint64_t lost = 0;
    std::uint64_t flying = nic->waiting();
    for (const auto& queue : nic->queues) {
      flying += queue->ring.completions.size() + queue->ring.transfers.size();
      lost += queue->out_of_buffer;
      ledger.places["in_flight.stack"] += queue->normal_list.size();
      ledger.places["in_flight." + queue->xdp_tx.name] += queue->xdp_tx.not_left();
      ledger.places["in_flight." + queue->xmit.name] += queue->xmit.not_left();
      ledger.places["in_flight." + queue->name + ".bulk_queue"] +=
          queue->redirect.frames.size() + queue->cpumap_bulks.held().size();
    }
    for (const auto& entry : nic->cpumap) ledger.places["in_flight." + entry->name] = entry->held().size();
    ledger.places["in_flight.nics." + nic->name] = flying;
    ledger.places["dropped." + std::string(driver_profile(nic->params.driver).no_descriptor)] += lost;
  }
  for (const auto& socket : sockets_) {
    ledger.places["in_flight." + socket->name] = socket->queue.size() + socket->waiting.size();
  }
  for (const auto& xsk : xsks_) ledger.places["in_flight." + xsk->name] = xsk->received_waiting() + xsk->in_hand();
  for (const auto& pmd : pmds_) {
    ledger.places["in_flight." + pmd->name] = pmd->in_hand();
    ledger.places["in_flight." + pmd->tx.name] = pmd->tx.not_left();
  }
  for (std::size_t i = 0; i < fate_names.size(); ++i) {
    const auto fate = static_cast<Fate>(i);
    const std::uint64_t count = journal_.count(fate);
    if (fate == Fate::delivered || fate == Fate::transmitted) {
      ledger.places[std::string(fate_names[i])] = count;
    } else if (fate != Fate::rx_out_of_buffer && count != 0) {
      ledger.places["dropped." + std::string(fate_names[i])] += count;
    }
  }
  return ledger;
}

Ledger ReferenceHost::page_ledger() {
  Ledger ledger;
  ledger.total = allocator_->total_pages();
  ledger.places["zone_free"] = allocator_->nr_free_pages();
  ledger.places["pcp"] = allocator_->nr_pcp_pages();
  for (const MemoryUser& user : users_) ledger.places["other"] += user.background->held_pages();
  std::set<PageId> seen;
  const auto hold_page = [&](const char* place, PageId id) {
    std::uint64_t& count = ledger.places[place];
    const Page& page = allocator_->page(id);
    if (page.place != PagePlace::posted && seen.insert(id).second) count += std::uint64_t{1} << page.order;
  };
  const auto hold = [&](const char* place, const SkbPtr& skb) { hold_page(place, skb->page); };
  for (const auto& socket : sockets_) {
    for (const SkbPtr& skb : socket->queue) hold("socket", skb);
    for (const auto& [number, skb] : socket->waiting) hold("socket", skb);
    if (socket->reader->in_hand != nullptr) hold("socket", socket->reader->in_hand);
    for (const SkbPtr& skb : socket->reader->leaked) hold("leaked", skb);
  }
  for (const auto& list : frees_.lists()) {
    for (const SkbPtr& skb : list->skbs) hold("stack", skb);
  }
  for (const auto& nic : nics_) {
    for (const auto& queue : nic->queues) {
      for (const SkbPtr& skb : queue->normal_list) hold("stack", skb);
      queue->xdp_tx.for_each_page([&](PageId page) {
        if (page != no_page) hold_page("tx_ring", page);
      });
      queue->xmit.for_each_page([&](PageId page) {
        if (page != no_page) hold_page("tx_ring", page);
      });
      for (const Frame& frame : queue->redirect.frames) {
        if (frame.page != no_page) hold_page("tx_ring", frame.page);
      }
      for (const SkbPtr& frame : queue->cpumap_bulks.held()) hold("cpumap", frame);
      ledger.places["posted"] += queue->buffers->posted;
      if (queue->buffers->pool == nullptr) continue;
      ledger.places["pool_cache"] += queue->buffers->pool->cache_count();
      ledger.places["pool_ring"] += queue->buffers->pool->ring_count();
    }
    for (const auto& entry : nic->cpumap) {
      for (const SkbPtr& frame : entry->held()) hold("cpumap", frame);
    }
  }
  pools_->for_each([&](const PagePool& pool) {
    if (pool.detached()) ledger.places["pool_ring"] += pool.ring_count();
  });
  for (const auto& xsk : xsks_) {
    ledger.places["xsk_fill"] += xsk->to_fill();
    ledger.places["xsk_rx"] += xsk->received_waiting();
    ledger.places["xsk_application"] += xsk->application_frames();
  }
  for (const auto& pmd : pmds_) {
    ledger.places["mempool"] += pmd->mempool_available();
    ledger.places["pmd_application"] += pmd->in_hand();
    pmd->tx.for_each_page([&](PageId page) { hold_page("tx_ring", page); });
  }
  return ledger;
}

void ReferenceHost::count_queues(ReferenceResult& result) const {
  for (const auto& nic : nics_) {
    for (const auto& queue : nic->queues) {
      const auto count = [&](const std::string& metric, std::uint64_t value) {
        result.counters[queue->name + "." + metric] = value;
      };
      count("rx_packets", queue->rx_packets);
      count("interrupts", queue->interrupts);
      count("polls", queue->polls);
      if (!nic->cpumap.empty()) count("xdp_redirect", queue->redirect.redirected);
      if (nic->program == "xsk_def_prog") {
        count("xdp_redirect", queue->redirect.redirected);
        count("xdp_redirect_err", queue->redirect.errors);
      }
      if (nic->target != nullptr) {
        count("xdp_redirect", queue->redirect.redirected);
        count("xdp_redirect_err", queue->redirect.errors);
        count("xdp_devmap_xmit", queue->redirect.bulks);
        count("xdp_devmap_xmit_sent", queue->redirect.sent);
        count("xdp_devmap_xmit_drops", queue->redirect.drops);
      }
      if (!nic->device.rings.empty()) {
        result.counters[queue->xmit.name + ".tx_xdp_xmit"] = queue->xmit.accepted;
        result.counters[queue->xmit.name + ".tx_xdp_full"] = queue->xmit.full_calls;
        result.counters[queue->xmit.name + ".tx_packets"] = queue->xmit.transmitted;
      }
      if (queue->xdp_tx_xmit + queue->xdp_tx_full != 0) {
        count("xdp_tx_xmit", queue->xdp_tx_xmit);
        count("xdp_tx_full", queue->xdp_tx_full);
        count("xdp_tx.tx_packets", queue->xdp_tx.transmitted);
      }
      if (queue->buffers->pool == nullptr) continue;
      PagePoolStats stats = queue->buffers->pool->stats;
      for (const std::uint16_t retired : queue->retired_pools) stats += pools_->stats_of(retired);
      count("page_pool.alloc_fast", stats.alloc_fast);
      count("page_pool.alloc_slow", stats.alloc_slow);
      count("page_pool.alloc_empty", stats.alloc_empty);
      count("page_pool.alloc_refill", stats.alloc_refill);
      count("page_pool.alloc_waive", stats.alloc_waive);
      count("page_pool.recycle_cached", stats.recycle_cached);
      count("page_pool.recycle_cache_full", stats.recycle_cache_full);
      count("page_pool.recycle_ring", stats.recycle_ring);
      count("page_pool.recycle_ring_full", stats.recycle_ring_full);
      count("page_pool.recycle_released_refcnt", stats.recycle_released_refcnt);
      count("page_pool.page_pool_state_hold", stats.page_pool_state_hold);
      count("page_pool.page_pool_state_release", stats.page_pool_state_release);
      count("page_pool.alloc_failed", stats.alloc_failed);
    }
  }
}

void ReferenceHost::count_maps_and_sockets(ReferenceResult& result) const {
  for (const auto& nic : nics_) {
    for (const auto& entry : nic->cpumap) {
      result.counters[entry->name + ".xdp_cpumap_enqueue"] = entry->bulks;
      result.counters[entry->name + ".xdp_cpumap_enqueue_processed"] = entry->processed;
      result.counters[entry->name + ".xdp_cpumap_enqueue_drops"] = entry->drops;
      result.counters[entry->name + ".xdp_cpumap_kthread"] = entry->batches;
      result.counters[entry->name + ".xdp_cpumap_kthread_processed"] = entry->taken;
      result.counters[entry->name + ".xdp_cpumap_kthread_xdp_pass"] = entry->passed;
      result.counters[entry->name + ".xdp_cpumap_kthread_xdp_drop"] = entry->dropped;
    }
  }
  for (const auto& socket : sockets_) {
    if (!socket->reader->napis.empty())
      result.counters[socket->name + ".BusyPollRxPackets"] = socket->reader->busy_polled;
  }
  for (const auto& xsk : xsks_) {
    result.counters[xsk->name + ".rx_dropped"] = xsk->rx_dropped;
    result.counters[xsk->name + ".rx_ring_full"] = xsk->rx_ring_full;
    result.counters[xsk->name + ".rx_fill_ring_empty_descs"] = xsk->fill_empty;
    result.counters[xsk->name + ".xsk_received"] = xsk->received;
    result.counters[xsk->name + ".xsk_wakeups"] = xsk->wakeups;
    result.counters[xsk->name + ".xsk_polls"] = xsk->polls;
  }
  for (const auto& pmd : pmds_) {
    result.counters[pmd->name + ".ipackets"] = pmd->ipackets;
    result.counters[pmd->name + ".rx_bursts"] = pmd->rx_bursts;
    result.counters[pmd->name + ".empty_bursts"] = pmd->empty_bursts;
    if (!pmd->params.forward) continue;
    result.counters[pmd->name + ".tx_burst_full"] = pmd->tx_burst_full;
    result.counters[pmd->tx.name + ".tx_packets"] = pmd->tx.transmitted;
  }
}

}  // namespace rxpool::reference
