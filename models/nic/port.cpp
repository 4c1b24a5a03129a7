#include "models/nic/port.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace rxpool {

Port::Port(const PortParams& params, Engine& engine, std::unique_ptr<Wire> wire, std::unique_ptr<Steering> steering,
           Llc& llc, Journal& journal)
    : engine_(engine),
      pcie_(params.pcie),
      buffer_(params.buffer_bytes),
      wire_(std::move(wire)),
      steering_(std::move(steering)),
      llc_(llc),
      journal_(journal),
      queues_(params.queues),
      block_(block_packets) {}

void Port::set_queue(std::uint32_t index, RxRing& ring, const Event& cpu) {
  queues_[index].ring = &ring;
  queues_[index].cpu = &cpu;
}

/// Pulls the next block of packets and steers it; false when nothing arrives up to `to`.
bool Port::fetch(Time to) {
  if (fetched_until_ >= to) return false;
  next_ = 0;
  fetched_ = wire_->pull(to, block_);
  if (fetched_ < block_.size()) fetched_until_ = to;
  steering_->steer(std::span(block_).first(fetched_));
  return fetched_ != 0;
}

Time Port::advance(Time to) {
  while (true) {
    if (next_ == fetched_ && !fetch(to)) break;
    if (!carry_block(to)) return known_;
    if (next_ != fetched_) break;
  }
  known_ = std::max(known_, to);
  return known_;
}

/// Carries the packets of the block that arrive up to `to`; false where it is not certain how to go on.
bool Port::carry_block(Time to) {
  const std::size_t first = next_;
  std::size_t i = first;
  std::uint64_t bytes = 0;
  Time pcie_free = pcie_free_;
  bool certain_to_go_on = true;
  std::uint64_t out_of_buffer = 0;
  Fingerprint out_of_buffer_ends;
  const std::size_t fetched = fetched_;
  const Packet* const block = block_.data();
  Queue* const queues = queues_.data();
  const Pcie pcie = pcie_;
  for (; i < fetched; ++i) {
    const Packet& packet = block[i];
    if (packet.arrival > to) break;
    bytes += packet.frame_bytes;
    if (packet.queue == Steering::drop) [[unlikely]] {
      journal_.ended(packet, Fate::rx_steering_drop, packet.arrival);
      continue;
    }
    // max(arrival, pcie_free) by a mask: a branch here would be mispredicted at every third packet.
    const std::int64_t ahead_ps = (pcie_free - packet.arrival).ps;
    const Time start = packet.arrival + Time{ahead_ps & ~(ahead_ps >> 63)};
    const bool idle = ahead_ps <= 0;
    buffer_.all_left_if(idle);
    // What need not wait needs no room: drivers without a packet buffer have none.
    if (!buffer_.admits(packet.frame_bytes, packet.arrival) && !idle) [[unlikely]] {
      ++stats_.rx_discards_phy;
      journal_.ended(packet, Fate::rx_discards_phy, packet.arrival);
      continue;
    }
    Queue& queue = queues[packet.queue];
    RxRing& ring = *queue.ring;
    if (ring.has_descriptor(start)) [[likely]] {
      pcie_free = start + pcie.service(packet.frame_bytes);
      buffer_.enter(packet.frame_bytes, pcie_free);
      const BufferId buffer = ring.complete(packet, pcie_free + pcie.latency());
      if (buffer != 0) {
        llc_.dma_write(buffer);
        llc_log_.written(pcie_free, llc_);
      }
    } else if (start <= to && (ring.fill() != 0 || start <= engine_.group_front(*queue.cpu))) {
      // No descriptor at `start`, and none can appear any more: what a CPU posts, it posts later than its front.
      ++queue.out_of_buffer;
      buffer_.enter(packet.frame_bytes, start);
      ++out_of_buffer;
      Journal::add(out_of_buffer_ends, packet, Fate::rx_out_of_buffer, start);
    } else {
      // Transfers end in order: whatever follows completes after `start`.
      known_ = std::max(known_, start - picoseconds(1));
      bytes -= packet.frame_bytes;
      certain_to_go_on = false;
      break;
    }
  }
  journal_.ended(Fate::rx_out_of_buffer, out_of_buffer, out_of_buffer_ends);
  stats_.rx_packets_phy += i - first;
  stats_.rx_bytes_phy += bytes;
  pcie_free_ = pcie_free;
  next_ = i;
  return certain_to_go_on;
}

void Port::close(Time end) {
  while (next_ != fetched_ || fetch(end)) {
    const Packet& packet = block_[next_];
    if (packet.arrival > end) return;
    ++next_;
    ++stats_.rx_packets_phy;
    stats_.rx_bytes_phy += packet.frame_bytes;
    if (packet.queue == Steering::drop) {
      journal_.ended(packet, Fate::rx_steering_drop, packet.arrival);
    } else if (buffer_.admits(packet.frame_bytes, packet.arrival)) {
      buffer_.enter(packet.frame_bytes, Time::never());
      ++waiting_;
    } else {
      ++stats_.rx_discards_phy;
      journal_.ended(packet, Fate::rx_discards_phy, packet.arrival);
    }
  }
}

Time Port::next_completion_bound(std::uint32_t queue) const {
  const Time after_known = known_ + picoseconds(1);
  for (std::size_t i = next_; i < fetched_; ++i) {
    if (block_[i].queue == queue) return std::max(after_known, block_[i].arrival);
  }
  return std::max(after_known, fetched_ == next_ ? after_known : block_[fetched_ - 1].arrival);
}

}  // namespace rxpool
