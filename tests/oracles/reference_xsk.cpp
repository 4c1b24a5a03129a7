#include "tests/oracles/reference_xsk.hpp"

#include <algorithm>
#include <utility>

#include "sim/distribution.hpp"

namespace rxpool::reference {

Xsk::Xsk(std::string n, const scenario::XskParams& p, RandomStream service, Journal& journal)
    : Process(Context::application),
      params(p),
      journal_(journal),
      service_(service),
      free_slots_(p.rx_ring, Time{0}),
      paused_(p.application.paused) {
  name = std::move(n);
  nice = p.application.nice;
}

bool Xsk::populate(MemoryContext& memory, PageAllocator& allocator) {
  for (std::uint32_t i = 0; i < params.frames; ++i) {
    const PageId frame = allocator.alloc_pages(memory, gfp::kernel | gfp::noretry, 0);
    if (frame == no_page) return false;
    allocator.page(frame).place = PagePlace::user_ring;
    if (fill_.size() < params.fill_ring) {
      fill_.push_back({frame, Time{0}});
    } else {
      ++spare_;
    }
  }
  return true;
}

void Xsk::start(Cpu& cpu) {
  cpu.add(*this);
  alarm_.at = Time{0};
  cpu.attach(alarm_);
}

void Xsk::Alarm::take(Cpu& cpu) {
  at = Time::never();
  cpu.enter_hardirq(Step::hardirq);
  cpu.wake(xsk);
  cpu.leave_hardirq();
}

void Xsk::sleep_until(Time at) {
  alarm_.at = at;
  sleeps = true;
}

void Xsk::set_paused(bool paused, Time now) {
  paused_ = paused;
  if (!paused) home->wake_from_elsewhere(*this, now);
}

// ---- The kernel's side.

PageId Xsk::allocate(Time now) {
  if (!kernel_list.empty()) {
    const PageId frame = kernel_list.back();
    kernel_list.pop_back();
    return frame;
  }
  if (fill_.empty() || fill_.front().visible > now) return no_page;
  const PageId frame = fill_.front().frame;
  fill_.pop_front();
  return frame;
}

void Xsk::receive(const Packet& packet, PageId frame) {
  free_slots_.pop_front();
  rx_.push_back({packet, frame, Time::never()});
  ++unseen_;
  ++received;
}

Job Xsk::flush(Cpu& cpu) {
  if (!flush_due()) co_return;
  co_await cpu.step(EventClass::poll);
  const bool wakes = std::exchange(waits_, false);
  if (wakes) cpu.charge(Step::socket_wakeup);
  for (; unseen_ != 0; --unseen_) rx_[rx_.size() - unseen_].visible = cpu.clock;
  if (!wakes) co_return;
  if (home == &cpu) {
    cpu.wake(*this);
  } else {
    home->wake_from_elsewhere(*this, cpu.clock);
  }
}

void Xsk::set_need_wakeup(bool needed, Time at) {
  if (needed == need_wakeup.now) return;
  need_wakeup = {needed, need_wakeup.now, at};
}

// ---- The application.

Job Xsk::unit(Cpu& cpu) {
  const Time until = paused_until(params.application, paused_, cpu.clock);
  if (until > cpu.clock) {
    sleep_until(until);
  } else if (batch_.empty()) {
    take(cpu);
  } else if (done_ < batch_.size()) {
    cpu.charge(service_time(params.application, service_));
    journal_.ended(batch_[done_++].packet, Fate::delivered, cpu.clock);
  } else {
    cpu.charge(Step::xsk_ring_put, static_cast<std::int64_t>(batch_.size()));
    for (const Received& packet : batch_) {
      fill_.push_back({packet.frame, cpu.clock});
      free_slots_.push_back(cpu.clock);
    }
    batch_.clear();
    done_ = 0;
  }
  co_return;
}

void Xsk::take(Cpu& cpu) {
  while (batch_.size() < params.application.batch && !rx_.empty() && rx_.front().visible <= cpu.clock) {
    batch_.push_back(rx_.front());
    rx_.pop_front();
  }
  if (batch_.empty()) {
    block(cpu);
  } else {
    cpu.charge(Step::xsk_ring_get, static_cast<std::int64_t>(batch_.size()));
  }
}

void Xsk::block(Cpu& cpu) {
  const bool needed = cpu.clock >= need_wakeup.since ? need_wakeup.now : need_wakeup.before;
  ++polls;
  cpu.charge(Step::syscall_entry);
  if (params.zero_copy && needed) {
    cpu.charge(Step::doorbell);
    ++wakeups;
    wake_driver(cpu);
  }
  const Time next = rx_.empty() ? Time::never() : rx_.front().visible;
  if (next <= cpu.clock) return;
  if (next != Time::never()) {
    sleep_until(next);
    return;
  }
  waits_ = true;
  sleeps = true;
}

// ---- Zero-copy buffers.

UmemPages::UmemPages(Xsk& xsk, Ring& r, PageAllocator& allocator) : xsk_(xsk), allocator_(allocator) {
  ring = &r;
  truesize = 4096 + 256;
}

std::uint32_t UmemPages::replace(std::uint32_t ahead, std::uint32_t slots, Time now) {
  for (std::uint32_t i = 0; i < slots; ++i) {
    PageId& frame = ring->pages[ring->ahead(ahead + i)];
    if (frame == no_page) continue;
    allocator_.page(frame).place = PagePlace::user_ring;
    xsk_.kernel_list.push_back(std::exchange(frame, no_page));
    --posted;
  }
  const std::size_t reused = std::min<std::size_t>(slots, xsk_.kernel_list.size());
  std::uint32_t got = 0;
  while (got < slots) {
    const PageId frame = xsk_.allocate(now);
    if (frame == no_page) break;
    allocator_.page(frame).place = PagePlace::posted;
    ring->pages[ring->ahead(ahead + got)] = frame;
    ring->halves[ring->ahead(ahead + got)] = 0;
    ++got;
    ++posted;
  }
  if (got == reused && got < slots) ++xsk_.fill_empty;
  return got;
}

bool UmemPages::fill(MemoryContext&) {
  const std::uint32_t slots = ring->missing();
  const std::uint32_t got = replace(0, slots, Time{0});
  ring->post(got, Time{0});
  xsk_.set_need_wakeup(got < slots && xsk_.params.need_wakeup, Time{0});
  return true;
}

Job UmemPages::refill(Cpu& cpu) {
  poll_again = false;
  const std::uint32_t missing = ring->missing();
  const std::uint32_t threshold = std::max(1u, std::min(64u, ring->size / 4));
  bool starved = false;
  if (missing < threshold) {
    co_await cpu.step(EventClass::poll);
  } else {
    cpu.charge(Step::refill_bulk);
    std::uint32_t done = 0;
    while (done < missing && !starved) {
      co_await cpu.step(EventClass::poll);
      const std::uint32_t slots = std::min(64u, missing - done);
      const std::uint32_t got = replace(done, slots, cpu.clock);
      cpu.charge(Step::xsk_ring_get, got);
      cpu.charge(Step::refill_descriptor, got);
      done += got;
      starved = got < slots;
    }
    if (done != 0) {
      cpu.charge(Step::doorbell);
      ring->post(done, cpu.clock);
    }
  }
  failures += starved ? 1 : 0;
  if (xsk_.params.need_wakeup) {
    xsk_.set_need_wakeup(starved, cpu.clock);
  } else {
    poll_again = starved;
  }
}

PageId UmemPages::take(Cpu& cpu, std::uint32_t) {
  MemoryContext context = cpu.context_now(true);
  const PageId page = allocator_.alloc_pages(context, gfp::atomic | gfp::nowarn, 0);
  cpu.charge(context.cost);
  if (page == no_page) return no_page;
  allocator_.page(page).place = PagePlace::stack;
  cpu.charge(cpu.price(Step::copy_to_user) + Time{cpu.price_per_byte(Step::copy_to_user) * ring->bytes_at_hand});
  return page;
}

PageId UmemPages::hand_over(std::uint32_t slot) {
  const PageId frame = std::exchange(ring->pages[slot], no_page);
  allocator_.page(frame).place = PagePlace::user_ring;
  --posted;
  return frame;
}

}  // namespace rxpool::reference
