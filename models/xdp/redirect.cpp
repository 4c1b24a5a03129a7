#include "models/xdp/redirect.hpp"

#include <algorithm>
#include <span>

#include "models/memory/rx_pages.hpp"
#include "models/nic/tx_queue.hpp"

namespace rxpool {

XdpRedirect::BulkQueue& XdpRedirect::queue_of(const XdpDevice& device) {
  for (BulkQueue& queue : queues_) {
    if (queue.device == &device) return queue;
  }
  queues_.emplace_back().device = &device;
  return queues_.back();
}

void XdpRedirect::enqueue(const XdpDevice& device, const XdpFrame& frame) {
  ++stats_.redirect;
  BulkQueue& queue = queue_of(device);
  queue.frames[queue.count++] = frame;
  if (queue.count > bulk) overfull_ = &queue;
  if (queue.listed) return;
  queue.listed = true;
  flush_list_.push_back(&queue);
}

bool XdpRedirect::xmit_all(Core& core, BulkQueue& queue) {
  if (core.interrupt_due() || !core.may_step(EventClass::poll)) return false;
  const std::uint32_t count = std::min(queue.count, bulk);
  TxQueue* tx = queue.device->queue_of(core.cpu());
  const std::uint32_t room = tx == nullptr ? 0 : tx->size() - tx->fill();
  if (room < count) {
    const RxPages* pages = queue.frames[0].page == no_page ? nullptr : queue.frames[0].pages;
    if (pages != nullptr && pages->puts_may_touch_zone(core.memory(true), count, true) &&
        !core.may_touch_shared(EventClass::poll)) {
      return false;
    }
  }
  const std::uint32_t sent = tx == nullptr ? 0 : tx->xmit(core, std::span(queue.frames).first(count));
  if (sent != count) {
    // xdp_return_frame_rx_napi: in the poll of the NAPI that the pages belong to.
    MemoryContext& context = core.memory(true);
    for (std::uint32_t i = sent; i < count; ++i) {
      const XdpFrame& frame = queue.frames[i];
      journal_.ended(frame.packet, Fate::xdp_devmap_xmit, core.now());
      if (frame.page != no_page) frame.pages->put_direct(context, frame.page);
    }
    core.charge_memory();
  }
  ++stats_.devmap_xmit;
  stats_.sent += sent;
  stats_.drops += count - sent;
  std::copy(queue.frames.begin() + count, queue.frames.begin() + queue.count, queue.frames.begin());
  queue.count -= count;
  return true;
}

bool XdpRedirect::send_overfull(Core& core) {
  if (overfull_ == nullptr) return cpus_.send_overfull(core);
  if (!xmit_all(core, *overfull_)) return false;
  overfull_ = nullptr;
  return true;
}

bool XdpRedirect::flush(Core& core) {
  return flush_devices(core) && (!cpus_.pending() || cpus_.flush(core));
}

bool XdpRedirect::flush_devices(Core& core) {
  // The list is filled at its head: the target added last comes first.
  while (!flush_list_.empty()) {
    BulkQueue& queue = *flush_list_.back();
    while (queue.count != 0) {
      if (!xmit_all(core, queue)) return false;
    }
    overfull_ = nullptr;
    TxQueue* tx = queue.device->queue_of(core.cpu());
    if (tx != nullptr && !tx->ring_doorbell(core)) return false;
    queue.listed = false;
    flush_list_.pop_back();
  }
  return true;
}

}  // namespace rxpool
