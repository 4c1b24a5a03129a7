#include "models/nic/tx_queue.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <utility>

#include "models/memory/rx_pages.hpp"

namespace rxpool {

TxQueue::TxQueue(TxQueueParams params, TxLink& link, PagePools& pools, Journal& journal)
    : params_(std::move(params)),
      link_(link),
      pools_(pools),
      journal_(journal),
      mask_(std::bit_ceil(params_.size) - 1),
      frames_(mask_ + 1),
      bulks_(mask_ + 1) {}

void TxQueue::post(const XdpFrame& frame) {
  const Packet& packet = frame.packet;
  frames_[posted_++ & mask_] = {packet.arrival, Time::never(),      packet.id, frame.pages, frame.page,
                                packet.queue,   packet.frame_bytes, true,      frame.copy};
  copies_ += frame.copy ? 1 : 0;
  ++stats_.posted;
}

std::uint32_t TxQueue::xmit(Core& core, std::span<const XdpFrame> frames) {
  if (params_.locked) {
    if (lock_free_ > core.now()) core.charge(Step::tx_queue_lock, lock_free_ - core.now());
    core.charge(Step::tx_queue_lock);
  }
  const auto sent = static_cast<std::uint32_t>(std::min<std::size_t>(frames.size(), params_.size - fill()));
  for (const XdpFrame& frame : frames.first(sent)) post(frame);
  core.charge(Step::tx_descriptor, sent);
  core.charge(Step::dma_map, sent);
  if (sent != frames.size()) ++stats_.full;
  lock_free_ = core.now();
  return sent;
}

bool TxQueue::ring_doorbell(Core& core) {
  if (params_.own_pages && !doorbell_due()) return true;
  if (core.interrupt_due()) return false;
  if (!(link_.shared ? core.may_touch_shared(EventClass::poll) : core.may_step(EventClass::poll))) return false;
  if (!doorbell_due()) return true;  // another CPU that shares the queue has told of them
  core.charge(Step::doorbell);
  for (; rung_ != posted_; ++rung_) {
    Frame& frame = frames_[rung_ & mask_];
    frame.carrier = link_.up();
    frame.leaves = link_.send(frame.frame_bytes, core.now());
  }
  bulks_[next_bulk_++ & mask_] = {rung_, frames_[(rung_ - 1) & mask_].leaves + link_.completion_latency()};
  ++stats_.doorbells;
  if (owner_ != nullptr) owner_->completion_planned(core);
  return true;
}

Time TxQueue::completed_at() const {
  return first_bulk_ == next_bulk_ ? Time::never() : bulks_[first_bulk_ & mask_].completed;
}

void TxQueue::observe(Time now) {
  for (; left_ != rung_; ++left_) {
    const Frame& frame = frames_[left_ & mask_];
    if (frame.leaves > now) return;
    const Fate fate = frame.carrier ? Fate::transmitted : Fate::tx_discards_phy;
    if (frame.copy) {
      --copies_;
    } else {
      journal_.ended(frame.id, frame.queue, frame.arrival, fate, frame.leaves);
    }
    if (!frame.carrier) continue;
    ++stats_.transmitted;
    stats_.bytes += frame.frame_bytes;
    if (params_.record_latency) latency_.record(frame.leaves - frame.arrival);
  }
}

bool TxQueue::may_touch_zone(Core& core, std::uint32_t count) const {
  const MemoryContext& context = core.memory(true);
  const RxPages* last = nullptr;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Frame& frame = frames_[(reaped_ + i) & mask_];
    if (frame.page == no_page || frame.pages == last) continue;
    last = frame.pages;
    if (last->puts_may_touch_zone(context, count, params_.own_pages)) return true;
  }
  return false;
}

void TxQueue::give_back(Core& core, std::uint32_t count) {
  MemoryContext& context = core.memory(true);
  XdpFrameBulk bulk;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Frame& frame = frames_[(reaped_ + i) & mask_];
    if (frame.page == no_page) continue;
    if (params_.own_pages) {
      frame.pages->put_direct(context, frame.page);
    } else if (frame.pages->from_pool()) {
      bulk.return_page(pools_, context, frame.page);
    } else {
      frame.pages->put(context, frame.page);
    }
  }
  bulk.flush(pools_, context);
  core.charge_memory();
}

bool TxQueue::reap(Core& core) {
  while (true) {
    if (core.interrupt_due()) return false;
    // Other CPUs fill it too: what they did before now has to be known.
    if (!params_.own_pages && !core.may_step(EventClass::poll)) return false;
    if (completed_at() > core.now()) return true;
    const Bulk& bulk = bulks_[first_bulk_ & mask_];
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(unit, bulk.end - reaped_));
    if (!core.may_step(EventClass::poll)) return false;
    if (may_touch_zone(core, count) && !core.may_touch_shared(EventClass::poll)) return false;
    observe(bulk.completed);
    core.charge(Step::tx_completion, count);
    if (!params_.own_pages) core.charge(Step::dma_unmap, count);
    give_back(core, count);
    reaped_ += count;
    if (reaped_ == bulk.end) ++first_bulk_;
  }
}

}  // namespace rxpool
