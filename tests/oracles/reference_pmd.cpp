#include "tests/oracles/reference_pmd.hpp"

#include <utility>

namespace rxpool::reference {

MempoolPages::MempoolPages(std::uint32_t size, Time put_price, Ring& r, PageAllocator& allocator)
    : size_(size), put_price_(put_price), allocator_(allocator) {
  ring = &r;
}

bool MempoolPages::fill(MemoryContext& context) {
  for (std::uint32_t i = 0; i < size_; ++i) {
    const PageId page = allocator_.alloc_pages(context, gfp::kernel | gfp::noretry, 0);
    if (page == no_page) return false;
    allocator_.page(page).place = PagePlace::user_ring;
    mbufs.push_back(page);
  }
  post(ring->missing(), Time{0});
  return true;
}

void MempoolPages::post(std::uint32_t slots, Time at) {
  for (std::uint32_t i = 0; i < slots; ++i) {
    const std::uint32_t slot = ring->ahead(i);
    ring->pages[slot] = mbufs.back();
    ring->halves[slot] = 0;
    mbufs.pop_back();
    allocator_.page(ring->pages[slot]).place = PagePlace::posted;
    ++posted;
  }
  ring->post(slots, at);
}

Job MempoolPages::refill(Cpu& cpu) {
  const std::uint32_t slots = ring->missing();
  for (std::uint32_t i = 0; i < slots; ++i) {
    cpu.charge(Step::mempool_get);
    cpu.charge(Step::refill_descriptor);
  }
  cpu.charge(Step::doorbell);
  post(slots, cpu.clock);
  co_return;
}

PageId MempoolPages::take(Cpu&, std::uint32_t slot) {
  const PageId page = std::exchange(ring->pages[slot], no_page);
  allocator_.page(page).place = PagePlace::user_ring;
  --posted;
  return page;
}

void MempoolPages::drop(Cpu& cpu, std::uint32_t slot) {
  MemoryContext context = cpu.context_now(false);
  put(context, take(cpu, slot));
  cpu.charge(context.cost);
}

void MempoolPages::put(MemoryContext& context, PageId page) {
  mbufs.push_back(page);
  context.cost += put_price_;
}

Pmd::Pmd(std::string n, const scenario::PmdParams& p, RandomStream service, Parts parts, TxRing send_ring,
         Journal& journal)
    : Process(Context::application),
      params(p),
      tx(std::move(send_ring)),
      parts_(std::move(parts)),
      service_(service),
      journal_(journal),
      paused_(p.application.paused) {
  name = std::move(n);
  nice = p.application.nice;
}

void Pmd::start(Cpu& cpu) {
  cpu.add(*this);
  alarm_.at = Time{0};
  cpu.attach(alarm_);
}

void Pmd::Alarm::take(Cpu& cpu) {
  at = Time::never();
  cpu.enter_hardirq(Step::hardirq);
  cpu.wake(pmd);
  cpu.leave_hardirq();
}

void Pmd::set_paused(bool paused, Time now) {
  paused_ = paused;
  if (!paused) home->wake_from_elsewhere(*this, now);
}

Job Pmd::unit(Cpu& cpu) {
  if (const Time until = paused_until(params.application, paused_, cpu.clock); until > cpu.clock) {
    alarm_.at = until;
    sleeps = true;
  } else if (batch_.empty()) {
    co_await look(cpu);
  } else if (done_ != batch_.size()) {
    one_packet(cpu);
    if (done_ == batch_.size() && !params.forward) {
      batch_.clear();
      done_ = 0;
    }
  } else {
    co_await send(cpu);
  }
}

Job Pmd::look(Cpu& cpu) {
  ++rx_bursts;
  cpu.charge(Step::rx_burst);
  if (parts_.ring.completions.empty()) {
    ++empty_bursts;
    co_return;
  }
  cpu.charge(Step::llc_hit);
  while (batch_.size() < params.burst && !parts_.ring.completions.empty()) {
    const Ring::Completion completion = parts_.ring.completions.front();
    parts_.ring.completions.pop_front();
    --parts_.ring.in_use;
    batch_.push_back({completion.packet, parts_.mempool.take(cpu, completion.slot)});
    cpu.charge(Step::rx_descriptor);
    ++ipackets;
  }
  co_await parts_.mempool.refill(cpu);
}

void Pmd::one_packet(Cpu& cpu) {
  const Mbuf mbuf = batch_[done_++];
  const Probability miss = parts_.read_miss(mbuf.packet);
  cpu.charge(Step::packet_touch);
  cpu.charge(Llc::charge(cpu.price(Step::llc_read_miss), miss));
  cpu.charge(service_time(params.application, service_));
  if (params.forward) return;
  journal_.ended(mbuf.packet, Fate::delivered, cpu.clock);
  free(cpu, mbuf.page);
}

Job Pmd::send(Cpu& cpu) {
  if (tx.has_completion()) cpu.charge(Step::llc_hit);
  co_await tx.reap(cpu);
  std::size_t sent = 0;
  for (; sent < batch_.size() && !tx.full(); ++sent) {
    cpu.charge(Step::tx_descriptor);
    tx.write({batch_[sent].packet, &parts_.mempool, batch_[sent].page});
  }
  for (std::size_t i = sent; i < batch_.size(); ++i) {
    ++tx_burst_full;
    journal_.ended(batch_[i].packet, Fate::tx_burst_full, cpu.clock);
    free(cpu, batch_[i].page);
  }
  batch_.clear();
  done_ = 0;
  co_await tx.doorbell(cpu);
}

void Pmd::free(Cpu& cpu, PageId page) {
  MemoryContext memory = cpu.context_now(false);
  parts_.mempool.put(memory, page);
  cpu.charge(memory.cost);
}

}  // namespace rxpool::reference
