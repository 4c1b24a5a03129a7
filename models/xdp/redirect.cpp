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
void XdpRedirect::drop(Core& core, std::span<const XdpFrame> frames, Fate fate) {
  if (frames.empty()) return;
  MemoryContext& context = core.memory(true);
  for (const XdpFrame& frame : frames) {
    if (!frame.copy) journal_.ended(frame.packet, fate, core.now());
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
    drop(core, {&frame, 1}, Fate::xdp_devmap_xmit);
  }
  return passed;
}

EgressHook::Verdict XdpRedirect::ask_egress(Core& core, const Packet& packet, const TxQueue& ring,
                                            const EgressHook::Ring& state) {
  core.charge(Step::xdp_call);
  const EgressHook::Verdict verdict = egress_->leaves(packet, state, core.cpu(), core.now());
  core.charge(Work::xdp_program, verdict.cost);
  if (verdict.backoff != 0) {
    backoff_ = {&ring, verdict.backoff};
    ++stats_.egress_backoffs;
  }
  return verdict;
}

bool XdpRedirect::backs_off() const {
  return backoff_.ring != nullptr && backoff_.ring->fill() >= backoff_.mark;
}

/// XD-71: frames that may take a descriptor move to the front; how many these are.
std::uint32_t XdpRedirect::run_egress(Core& core, BulkQueue& queue, const TxQueue& ring, std::uint32_t count) {
  std::uint32_t passed = 0;
  const std::uint16_t cpu = core.cpu();
  const auto number = static_cast<std::uint32_t>(cpu % queue.device->queues.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    XdpFrame& frame = queue.frames[i];
    XdpAction action = XdpAction::pass;
    if (!frame.met_egress) {
      const EgressHook::Verdict verdict =
          ask_egress(core, frame.packet, ring, {queue.device->ifindex, number, ring.fill() + passed, ring.size()});
      frame.met_egress = true;
      action = verdict.action;
      if (action == XdpAction::redirect && verdict.target.device != nullptr) {
        sent_elsewhere();
        diverted_.push_back({verdict.target.device, frame});
        continue;
      }
    }
    if (action == XdpAction::pass) {
      queue.frames[passed++] = frame;
    } else {
      dropped_by_egress();
      drop(core, {&frame, 1}, Fate::xdp_egress_drop);
    }
  }
  return passed;
}

/// Frames that an egress program has sent elsewhere join the bulk queue of that device. Resumable; false: others come
/// first.
bool XdpRedirect::place_diverted(Core& core) {
  while (!diverted_.empty()) {
    const Diverted next = diverted_.front();
    BulkQueue& queue = queue_of(*next.device);
    if (queue.count > bulk) {
      if (!xmit_all(core, queue)) return false;
      continue;
    }
    diverted_.erase(diverted_.begin());
    enqueue({next.device, nullptr}, next.frame);
  }
  return true;
}

bool XdpRedirect::xmit_all(Core& core, BulkQueue& queue) {
  if (core.interrupt_due() || !core.may_step(EventClass::poll)) return false;
  const std::uint32_t count = std::min(queue.count, bulk);
  TxQueue* tx = queue.device->queue_of(core.cpu());
  const std::uint32_t room = tx == nullptr ? 0 : tx->size() - tx->fill();
  const bool asks_egress = egress_ != nullptr && tx != nullptr;
  if ((room < count || queue.program != nullptr || asks_egress) && !may_drop(core, queue, count)) return false;
  std::uint32_t passed = queue.program == nullptr ? count : run_program(core, queue, count);
  const std::uint32_t dropped = count - passed;
  if (asks_egress) passed = run_egress(core, queue, *tx, passed);
  const auto frames = std::span(queue.frames).first(passed);
  const std::uint32_t sent = tx == nullptr || passed == 0 ? 0 : tx->xmit(core, frames);
  drop(core, frames.subspan(sent), Fate::xdp_devmap_xmit);
  ++stats_.devmap_xmit;
  stats_.sent += sent;
  stats_.drops += dropped + passed - sent;
  std::copy(queue.frames.begin() + count, queue.frames.begin() + queue.count, queue.frames.begin());
  queue.count -= count;
  return true;
}

bool XdpRedirect::send_overfull(Core& core) {
  while (!overfull_.empty()) {
    BulkQueue& queue = *overfull_.front();
    if (queue.count > bulk && !xmit_all(core, queue)) return false;
    overfull_.erase(overfull_.begin());
  }
  if (!place_diverted(core)) return false;
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
  while (place_diverted(core) && !flush_list_.empty()) {
    BulkQueue& queue = *flush_list_.back();
    if (queue.count != 0) {
      if (!xmit_all(core, queue)) return false;
      continue;  // its egress program may have filled another queue
    }
    TxQueue* tx = queue.device->queue_of(core.cpu());
    if (tx != nullptr && !tx->ring_doorbell(core)) return false;
    queue.listed = false;
    flush_list_.pop_back();
  }
  return diverted_.empty();
}

}  // namespace rxpool
