#include "tests/oracles/reference_cpumap.hpp"

#include <algorithm>
#include <utility>

namespace rxpool::reference {

CpumapEntry::CpumapEntry(std::string n, const scenario::CpuRedirect& redirect, const Scenario& scenario,
                         const scenario::NicParams& nic, Stack& stack, Journal& journal)
    : Process(Context::kthread),
      action_(redirect.remote),
      nic_(nic),
      list_most_(scenario.kernel.gro_normal_batch),
      keeps_list_(scenario.kernel.at_least(6, 15)),
      stack_(stack),
      journal_(journal),
      size_(redirect.qsize) {
  name = std::move(n);
}

void CpumapEntry::enqueue(Cpu& cpu, const std::vector<SkbPtr>& bulk) {
  cpu.charge(Step::ptr_ring_lock);
  if (std::exchange(producer_, &cpu) != &cpu) cpu.charge(Step::llc_hit);
  cpu.charge(Step::cpumap_ring_put, static_cast<std::int64_t>(bulk.size()));
  MemoryContext memory = cpu.context_now(true);
  std::vector<SkbPtr> accepted;
  for (const SkbPtr& frame : bulk) {
    if (full()) {
      journal_.ended(frame->packet, Fate::xdp_cpumap_enqueue, cpu.clock);
      frame->buffers->put_direct(memory, frame->page);
      ++drops;
    } else {
      ring_.push_back(frame);
      ++produced_;
      accepted.push_back(frame);
    }
  }
  cpu.charge(memory.cost);
  for (const SkbPtr& frame : accepted) frame->visible = cpu.clock;
  ++bulks;
  processed += bulk.size();
}

void CpumapEntry::wake(Cpu& cpu) {
  cpu.charge(asleep_ ? Step::cpumap_wakeup : Step::cpumap_wakeup_running);
  if (!std::exchange(asleep_, false)) return;
  if (home == &cpu) {
    cpu.wake(*this);
  } else {
    home->wake_from_elsewhere(*this, cpu.clock);
  }
}

SkbPtr CpumapEntry::consume() {
  SkbPtr frame = ring_.front();
  ring_.pop_front();
  ++consumed_;
  const std::uint64_t clears = size_ < 32 ? 1 : 16;
  if (consumed_ - cleared_ >= clears || consumed_ % size_ == 0) cleared_ = consumed_;
  return frame;
}

Job CpumapEntry::unit(Cpu& cpu) {
  if (!readable(cpu.clock)) {
    asleep_ = true;
    sleeps = true;
    co_return;
  }
  cpu.bottom_halves_disabled = true;
  const Time begin = cpu.clock;
  while (batch_.size() < 8 && readable(begin)) batch_.push_back(consume());
  ++batches;
  taken += batch_.size();
  since_flush_ += static_cast<std::uint32_t>(batch_.size());
  const auto count = static_cast<std::int64_t>(batch_.size());
  cpu.charge(Step::cpumap_dequeue, count);
  if (action_ != scenario::RemoteAction::disabled) cpu.charge(Step::xdp_call, count);
  if (action_ == scenario::RemoteAction::pass) {
    cpu.charge(Step::xdp_program_pass, count);
    passed += batch_.size();
  }
  if (action_ == scenario::RemoteAction::drop) {
    cpu.charge(Step::xdp_program_drop, count);
    MemoryContext memory = cpu.context_now(true);
    for (; !batch_.empty(); batch_.pop_front()) {
      ++dropped;
      journal_.ended(batch_.front()->packet, Fate::xdp_cpumap_drop, cpu.clock);
      batch_.front()->buffers->put(memory, batch_.front()->page);
    }
    cpu.charge(memory.cost);
  }
  for (const SkbPtr& skb : batch_) {
    cpu.charge(Step::skb_alloc_bulk);
    cpu.charge(Step::skb_build);
    cpu.charge(Step::packet_touch);
    skb->allocated_on = &cpu;
  }
  while (!batch_.empty()) {
    if (list_.size() >= list_most_) co_await deliver(cpu);
    if (keeps_list_ && nic_.gro) cpu.charge(Step::gro_receive);
    list_.push_back(batch_.front());
    batch_.pop_front();
  }
  if (list_.size() >= list_most_) co_await deliver(cpu);
  if (keeps_list_) {
    co_await cpu.step(EventClass::poll);
    if (since_flush_ < 64 && readable(cpu.clock)) co_return;
  }
  since_flush_ = 0;
  co_await deliver(cpu);
}

Job CpumapEntry::deliver(Cpu& cpu) {
  while (!list_.empty()) {
    co_await cpu.step(EventClass::poll);
    const SkbPtr skb = list_.front();
    list_.pop_front();
    stack_.receive(cpu, skb, nic_.netfilter);
  }
}

std::vector<SkbPtr> CpumapEntry::held() const {
  std::vector<SkbPtr> all(ring_.begin(), ring_.end());
  all.insert(all.end(), batch_.begin(), batch_.end());
  all.insert(all.end(), list_.begin(), list_.end());
  return all;
}

// ---- Bulks.

void CpumapBulks::enqueue(CpumapEntry& entry, const SkbPtr& frame) {
  auto found = std::find_if(bulks_.begin(), bulks_.end(), [&](const Bulk& bulk) { return bulk.entry == &entry; });
  if (found == bulks_.end()) found = bulks_.insert(bulks_.begin(), Bulk{&entry, {}});
  found->frames.push_back(frame);
}

Job CpumapBulks::send_overfull(Cpu& cpu) {
  const auto found =
      std::find_if(bulks_.begin(), bulks_.end(), [](const Bulk& bulk) { return bulk.frames.size() > 8; });
  if (found == bulks_.end()) co_return;
  co_await cpu.step(EventClass::poll);
  const SkbPtr last = found->frames.back();
  found->frames.pop_back();
  found->entry->enqueue(cpu, found->frames);
  CpumapEntry* const entry = found->entry;
  bulks_.erase(found);
  enqueue(*entry, last);
}

Job CpumapBulks::flush(Cpu& cpu) {
  co_await send_overfull(cpu);
  while (!bulks_.empty()) {
    co_await cpu.step(EventClass::poll);
    CpumapEntry& entry = *bulks_.front().entry;
    entry.enqueue(cpu, bulks_.front().frames);
    bulks_.erase(bulks_.begin());
    co_await cpu.step(EventClass::poll);
    entry.wake(cpu);
  }
}

std::vector<SkbPtr> CpumapBulks::held() const {
  std::vector<SkbPtr> all;
  for (const Bulk& bulk : bulks_) all.insert(all.end(), bulk.frames.begin(), bulk.frames.end());
  return all;
}

}  // namespace rxpool::reference
