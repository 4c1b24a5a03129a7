#include "tests/oracles/reference_tx.hpp"

#include <algorithm>

namespace rxpool::reference {

TxLink::Sent TxLink::send(std::uint32_t bytes, Time from) {
  pcie_busy_until = std::max(from, pcie_busy_until) + pcie_packet + Time{pcie_ps_per_byte * bytes};
  if (mbps == 0) return {std::max(pcie_busy_until, wire_busy_until), true};
  const std::int64_t bits = 8 * (std::int64_t{bytes} + 20);
  wire_busy_until = std::max(pcie_busy_until, wire_busy_until) + Time{bits * 1'000'000 / mbps};
  return {wire_busy_until, false};
}

std::uint32_t TxRing::xmit(Cpu& cpu, const std::vector<Frame>& frames) {
  if (redirected.locked) {
    if (lock_free_ > cpu.clock) cpu.charge(lock_free_ - cpu.clock);
    cpu.charge(Step::tx_queue_lock);
  }
  std::uint32_t sent = 0;
  for (; sent < frames.size() && !full(); ++sent) {
    write(frames[sent]);
    cpu.charge(Step::tx_descriptor);
    cpu.charge(Step::dma_map);
  }
  if (sent < frames.size()) ++full_calls;
  accepted += sent;
  lock_free_ = cpu.clock;
  return sent;
}

Job TxRing::doorbell(Cpu& cpu) {
  co_await cpu.step(EventClass::poll);
  if (written_.empty()) co_return;
  cpu.charge(Step::doorbell);
  const auto count = static_cast<std::uint32_t>(written_.size());
  Time last{0};
  for (; !written_.empty(); written_.pop_front()) {
    const Packet packet = written_.front().packet;
    const TxLink::Sent sent = link_.send(packet.frame_bytes, cpu.clock);
    last = sent.leaves;
    ++flying_;
    events_.at(sent.leaves, EventClass::nic, component_, [this, packet, sent] {
      --flying_;
      if (!sent.lost) ++transmitted;
      journal_.ended(packet, sent.lost ? Fate::tx_discards_phy : Fate::transmitted, sent.leaves);
    });
    sent_.push_back(written_.front());
  }
  events_.at(last + link_.latency, EventClass::nic, component_, [this, count] {
    for (std::uint32_t i = 0; i < count; ++i) {
      done_.push_back(sent_.front());
      sent_.pop_front();
    }
    done_bulks_.push_back({count, events_.now()});
    if (redirected.completed) redirected.completed();
  });
}

Job TxRing::reap(Cpu& cpu) {
  while (true) {
    co_await cpu.step(EventClass::poll);
    if (done_bulks_.empty()) break;
    const std::uint32_t count = std::min(done_bulks_.front().frames, 16u);
    cpu.charge(Step::tx_completion, count);
    if (redirected.pools != nullptr) cpu.charge(Step::dma_unmap, count);
    MemoryContext context = cpu.context_now(true);
    std::vector<PageId> bulk;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Frame frame = done_.front();
      done_.pop_front();
      if (frame.page == no_page) continue;
      if (redirected.pools == nullptr) {
        frame.buffers->put_direct(context, frame.page);
      } else if (frame.buffers->pool != nullptr) {
        bulk.push_back(frame.page);
      } else {
        frame.buffers->put(context, frame.page);
      }
    }
    if (!bulk.empty()) redirected.pools->put_netmem_bulk(context, bulk);
    cpu.charge(context.cost);
    done_bulks_.front().frames -= count;
    if (done_bulks_.front().frames == 0) done_bulks_.pop_front();
  }
}

}  // namespace rxpool::reference
