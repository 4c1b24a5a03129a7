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

void XdpRedirect::enqueue(const XdpTarget& target, const XdpFrame& frame) {
  BulkQueue& queue = queue_of(*target.device);
  if (!queue.listed) {
    queue.listed = true;
    queue.program = target.program;
    flush_list_.push_back(&queue);
  }
  XdpFrame& queued = queue.frames[queue.count++] = frame;
  if (queue.program != nullptr) queued.kept = queue.program->keep();
  if (queue.count > bulk) overfull_.push_back(&queue);
}

/// A drop gives a page back, which may reach the zone.
bool XdpRedirect::may_drop(Core& core, const BulkQueue& queue, std::uint32_t count) const {
  const auto frames = std::span(queue.frames).first(count);
  const auto owned =
      std::find_if(frames.begin(), frames.end(), [](const XdpFrame& frame) { return frame.page != no_page; });
  return owned == frames.end() || !owned->pages->puts_may_touch_zone(core.memory(true), count, true) ||
         core.may_touch_shared(EventClass::poll);
}

/// xdp_return_frame_rx_napi: in the poll of the NAPI that the pages belong to.
void XdpRedirect::drop(Core& core, std::span<const XdpFrame> frames) {
  if (frames.empty()) return;
  MemoryContext& context = core.memory(true);
  for (const XdpFrame& frame : frames) {
    if (!frame.copy) journal_.ended(frame.packet, Fate::xdp_devmap_xmit, core.now());
    if (frame.page != no_page) frame.pages->put_direct(context, frame.page);
  }
  core.charge_memory();
}

/// XD-25: frames that it lets pass move to the front; how many these are.
std::uint32_t XdpRedirect::run_program(Core& core, BulkQueue& queue, std::uint32_t count) {
  std::uint32_t passed = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    XdpFrame& frame = queue.frames[i];
    core.charge(Step::xdp_call);
    const XdpVerdict verdict = queue.program->run(frame, *queue.device, core.cpu(), core.now());
    core.charge(Work::xdp_program, verdict.cost);
    if (verdict.action == XdpAction::pass) {
      queue.frames[passed++] = frame;
      continue;
    }
    if (verdict.action != XdpAction::drop) ++exceptions_;
    drop(core, {&frame, 1});
  }
  return passed;
}

bool XdpRedirect::xmit_all(Core& core, BulkQueue& queue) {
  if (core.interrupt_due() || !core.may_step(EventClass::poll)) return false;
  const std::uint32_t count = std::min(queue.count, bulk);
  TxQueue* tx = queue.device->queue_of(core.cpu());
  const std::uint32_t room = tx == nullptr ? 0 : tx->size() - tx->fill();
  if ((room < count || queue.program != nullptr) && !may_drop(core, queue, count)) return false;
  const std::uint32_t passed = queue.program == nullptr ? count : run_program(core, queue, count);
  const auto frames = std::span(queue.frames).first(passed);
  const std::uint32_t sent = tx == nullptr || passed == 0 ? 0 : tx->xmit(core, frames);
  drop(core, frames.subspan(sent));
  ++stats_.devmap_xmit;
  stats_.sent += sent;
  stats_.drops += count - sent;
  std::copy(queue.frames.begin() + count, queue.frames.begin() + queue.count, queue.frames.begin());
  queue.count -= count;
  return true;
}

bool XdpRedirect::send_overfull(Core& core) {
  while (!overfull_.empty()) {
    if (!xmit_all(core, *overfull_.front())) return false;
    overfull_.erase(overfull_.begin());
  }
  return !cpus_.overfull() || cpus_.send_overfull(core);
}

bool XdpRedirect::flush(Core& core) {
  if (!flush_devices(core) || (cpus_.pending() && !cpus_.flush(core))) return false;
  if (xsk_ == nullptr) return true;
  if (!xsk_->flush(core)) return false;
  xsk_ = nullptr;
  return true;
}

bool XdpRedirect::flush_devices(Core& core) {
  overfull_.clear();
  // The list is filled at its head: the target added last comes first.
  while (!flush_list_.empty()) {
    BulkQueue& queue = *flush_list_.back();
    while (queue.count != 0) {
      if (!xmit_all(core, queue)) return false;
    }
    TxQueue* tx = queue.device->queue_of(core.cpu());
    if (tx != nullptr && !tx->ring_doorbell(core)) return false;
    queue.listed = false;
    flush_list_.pop_back();
  }
  return true;
}

}  // namespace rxpool
