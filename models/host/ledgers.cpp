#include "models/host/ledgers.hpp"

#include "models/nic/driver_profile.hpp"
#include "sim/error.hpp"

namespace rxpool {

void check_closed(const std::string& of, const Ledger& ledger) {
  std::uint64_t sum = 0;
  for (const auto& [place, count] : ledger.places) sum += count;
  if (sum != ledger.total) {
    throw BugError(of + " ledger does not close: " + std::to_string(ledger.total) + " in all, " + std::to_string(sum) +
                   " found");
  }
}

Ledger packet_ledger(Host& host) {
  Ledger ledger;
  for (const auto& nic : host.nics()) {
    ledger.total += nic->port->stats().rx_packets_phy;
    ledger.places["in_flight." + nic->component] += nic->port->waiting();
    for (HostQueue& queue : nic->queues) {
      ledger.places["in_flight." + nic->component] += queue.queue->ring().completed();
      ledger.places["in_flight.stack"] += queue.queue->undelivered().size();
      for (const auto* out : {&queue.xdp_tx, &queue.xmit}) {
        if (*out != nullptr) ledger.places["in_flight." + (*out)->name()] += (*out)->in_flight();
      }
      queue.queue->redirect().for_each_frame([&](const XdpFrame& frame) {
        if (!frame.copy) ++ledger.places["in_flight." + queue.queue->name() + ".bulk_queue"];
      });
      queue.queue->redirect().cpus().for_each_frame(
          [&](SkbId) { ++ledger.places["in_flight." + queue.queue->name() + ".bulk_queue"]; });
    }
    for (const auto& entry : nic->cpumap) {
      entry->for_each_held([&](SkbId) { ++ledger.places["in_flight." + entry->name]; });
    }
  }
  for (HostSocket& socket : host.sockets()) {
    ledger.places["in_flight." + socket.name] += socket.socket->queued() + socket.socket->out_of_order();
  }
  for (const HostXsk& xsk : host.xsks()) {
    ledger.places["in_flight." + xsk.name] += xsk.xsk->frames_received() + xsk.application->waiting();
  }
  for (const HostPmd& pmd : host.pmds()) {
    ledger.places["in_flight." + pmd.name] += pmd.driver->in_hand();
    if (pmd.transmit != nullptr) ledger.places["in_flight." + pmd.transmit->name()] += pmd.transmit->in_flight();
  }
  for (std::size_t i = 0; i < fate_names.size(); ++i) {
    const auto fate = static_cast<Fate>(i);
    const std::uint64_t count = host.journal().count(fate);
    if (fate == Fate::delivered || fate == Fate::transmitted) {
      ledger.places[std::string(fate_names[i])] += count;
    } else if (fate == Fate::rx_out_of_buffer) {
      // Reported under each driver's own name.
      for (const auto& nic : host.nics()) {
        std::uint64_t lost = 0;
        for (std::uint32_t q = 0; q < nic->queues.size(); ++q) lost += nic->port->queue(q).out_of_buffer;
        ledger.places["dropped." + std::string(driver_profile(nic->params->driver).no_descriptor)] += lost;
      }
    } else if (count != 0) {
      ledger.places["dropped." + std::string(fate_names[i])] += count;
    }
  }
  check_closed("packet", ledger);
  return ledger;
}

namespace {

/// Counts each page that live skbs and frames hold once, at the first of their places that has it.
class HeldPages {
 public:
  explicit HeldPages(Host& host) : host_(host) {}

  std::uint64_t count(std::span<const SkbId> skbs) {
    std::uint64_t pages = 0;
    for (const SkbId id : skbs) pages += add(id);
    return pages;
  }
  std::uint64_t add(SkbId id) { return add_page(host_.slab()[id].page); }
  std::uint64_t add_page(PageId page) {
    if (page == no_page) return 0;
    const Page& record = host_.allocator().page(page);
    // A page that still serves a descriptor is counted there.
    if (record.place == PagePlace::posted || seen_[page]) return 0;
    seen_[page] = true;
    return std::uint64_t{1} << record.order;
  }

 private:
  Host& host_;
  std::map<PageId, bool> seen_;
};

}  // namespace

Ledger page_ledger(Host& host) {
  Ledger ledger;
  PageAllocator& allocator = host.allocator();
  ledger.total = allocator.total_pages();
  ledger.places["zone_free"] = allocator.nr_free_pages();
  ledger.places["pcp"] = allocator.nr_pcp_pages();
  for (const auto& background : host.backgrounds()) ledger.places["other"] += background->held_pages();
  HeldPages held(host);
  for (HostSocket& socket : host.sockets()) {
    const auto count = [&](SkbId id) { ledger.places["socket"] += held.add(id); };
    socket.socket->for_each_queued(count);
    socket.socket->for_each_out_of_order(count);
    if (const std::optional<SkbId> message = socket.reader->message_in_hand()) {
      ledger.places["socket"] += held.add(*message);
    }
    if (const std::uint64_t lost = held.count(socket.reader->leaked())) ledger.places["leaked"] += lost;
  }
  host.skb_free().for_each_deferred([&](SkbId id) { ledger.places["stack"] += held.add(id); });
  for (const auto& nic : host.nics()) {
    for (HostQueue& queue : nic->queues) {
      ledger.places["stack"] += held.count(queue.queue->undelivered());
      for (const auto* out : {&queue.xdp_tx, &queue.xmit}) {
        if (*out == nullptr) continue;
        (*out)->for_each_page([&](PageId page) { ledger.places["tx_ring"] += held.add_page(page); });
      }
      queue.queue->redirect().for_each_frame(
          [&](const XdpFrame& frame) { ledger.places["tx_ring"] += held.add_page(frame.page); });
      queue.queue->redirect().cpus().for_each_frame([&](SkbId id) { ledger.places["cpumap"] += held.add(id); });
      ledger.places["posted"] += queue.queue->buffers().posted();
      if (queue.pool == nullptr) continue;
      ledger.places["pool_cache"] += queue.pool->cache_count();
      ledger.places["pool_ring"] += queue.pool->ring_count();
    }
    for (const auto& entry : nic->cpumap) {
      entry->for_each_held([&](SkbId id) { ledger.places["cpumap"] += held.add(id); });
    }
  }
  host.pools().for_each([&](const PagePool& pool) {
    if (pool.detached()) ledger.places["pool_ring"] += pool.ring_count();
  });
  for (const HostXsk& xsk : host.xsks()) {
    ledger.places["xsk_fill"] += xsk.xsk->frames_to_fill();
    ledger.places["xsk_rx"] += xsk.xsk->frames_received();
    ledger.places["xsk_application"] += xsk.application->frames();
  }
  for (const HostPmd& pmd : host.pmds()) {
    ledger.places["mempool"] += pmd.driver->mempool().available();
    ledger.places["pmd_application"] += pmd.driver->in_hand();
    if (pmd.transmit == nullptr) continue;
    pmd.transmit->for_each_page([&](PageId page) { ledger.places["tx_ring"] += held.add_page(page); });
  }
  check_closed("page", ledger);
  return ledger;
}

}  // namespace rxpool
