#include "models/nic/port.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace rxpool {

Port::Port(const PortParams& params, Engine& engine, std::unique_ptr<Wire> wire, std::unique_ptr<Steering> steering,
           Llc& llc, Journal& journal)
    : engine_(engine),
      rings_change_(params.rings_change),
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
  const std::uint64_t bytes_before = wire_->statistics().bytes;
  fetched_ = wire_->pull(to, block_);
  block_bytes_ = static_cast<std::uint32_t>(wire_->statistics().bytes - bytes_before);
  // Responsive sources know their future only so far.
  if (fetched_ < block_.size()) fetched_until_ = std::min(to, wire_->next_arrival() - picoseconds(1));
  steering_->steer(std::span(block_).first(fetched_));
  return fetched_ != 0;
}

Time Port::advance(Time to) {
  while (true) {
    if (next_ == fetched_ && !fetch(to)) {
      known_ = std::max(known_, std::min(to, fetched_until_));
      return known_;
    }
    // A block that fits into the packet buffer as a whole need not be looked at packet by packet.
    const bool roomy = buffer_.admits(block_bytes_, block_[next_].arrival);
    const bool went_on = rings_change_ ? (roomy ? carry_block<true, true>(to) : carry_block<false, true>(to))
                                       : (roomy ? carry_block<true, false>(to) : carry_block<false, false>(to));
    if (!went_on) return known_;
    if (next_ != fetched_) break;
  }
  known_ = std::max(known_, to);
  return known_;
}

/// Carries the packets of the block that arrive up to `to`; false where it is not certain how to go on. Every start
/// waits for the end of the transfer before, so the loop does only what that chain needs; the rest follows after it.
template <bool roomy, bool to_the_letter>
bool Port::carry_block(Time to) {
  const std::size_t first = next_;
  const std::size_t fetched = fetched_;
  std::size_t i = first;
  std::size_t last_idle = fetched;
  std::size_t written = 0;
  std::uint64_t bytes = 0;
  Time pcie_free = pcie_free_;
  Time lost_until{-1};
  const Event* lost_until_of = nullptr;
  std::uint64_t out_of_buffer = 0;
  Fingerprint out_of_buffer_ends;
  bool certain_to_go_on = true;
  const Packet* const block = block_.data();
  Queue* const queues = queues_.data();
  const Pcie pcie = pcie_;
  for (; i < fetched; ++i) {
    const Packet& packet = block[i];
    if (packet.arrival > to) break;
    if (packet.queue == Steering::drop) [[unlikely]] {
      bytes += packet.frame_bytes;
      leaves_[i] = pcie_free;
      journal_.ended(packet, Fate::rx_steering_drop, packet.arrival);
      continue;
    }
    // max(arrival, pcie_free) by a mask: a branch here would be mispredicted at every third packet.
    const std::int64_t ahead_ps = (pcie_free - packet.arrival).ps;
    const Time start = packet.arrival + Time{ahead_ps & ~(ahead_ps >> 63)};
    const bool idle = ahead_ps <= 0;
    if constexpr (to_the_letter) {
      if (start > to) {
        known_ = std::max(known_, start - picoseconds(1));
        certain_to_go_on = false;
        break;
      }
    }
    if constexpr (roomy) {
      last_idle = idle ? i : last_idle;
    } else {
      buffer_.all_left_if(idle);
      // What need not wait needs no room: drivers without a packet buffer have none.
      if (!buffer_.admits(packet.frame_bytes, packet.arrival) && !idle) {
        bytes += packet.frame_bytes;
        ++stats_.rx_discards_phy;
        journal_.ended(packet, Fate::rx_discards_phy, packet.arrival);
        continue;
      }
    }
    Queue& queue = queues[packet.queue];
    RxRing& ring = *queue.ring;
    Time leaves = start;
    if (ring.has_descriptor(start)) [[likely]] {
      pcie_free = leaves = start + pcie.service(packet.frame_bytes);
      const BufferId buffer = ring.complete(packet, pcie_free + pcie.latency());
      llc_.expect_write(buffer);
      dma_writes_[written] = {buffer, pcie_free};
      written += buffer != 0 ? 1 : 0;
    } else {
      if (lost_until_of != queue.cpu) {
        lost_until_of = queue.cpu;
        lost_until = std::min(to, engine_.group_front(*queue.cpu));
      }
      if (start > lost_until && (start > to || ring.fill() == 0)) {
        // Transfers end in order: whatever follows completes after `start`.
        known_ = std::max(known_, start - picoseconds(1));
        certain_to_go_on = false;
        break;
      }
      // No descriptor at `start`, and none can appear any more: what a CPU posts, it posts later than its front.
      ++queue.out_of_buffer;
      ++out_of_buffer;
      Journal::add(out_of_buffer_ends, packet, Fate::rx_out_of_buffer, start);
    }
    bytes += packet.frame_bytes;
    if constexpr (roomy) {
      leaves_[i] = leaves;
    } else {
      buffer_.enter(packet.frame_bytes, leaves);
    }
  }
  if constexpr (roomy) {
    buffer_.all_left_if(last_idle != fetched);
    for (std::size_t k = last_idle != fetched ? last_idle : first; k < i; ++k) {
      buffer_.enter(block[k].queue == Steering::drop ? 0 : block[k].frame_bytes, leaves_[k]);
    }
  }
  llc_.dma_write_all(std::span(dma_writes_).first(written), [this](Time at) { llc_log_.note(at, llc_.view()); });
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
