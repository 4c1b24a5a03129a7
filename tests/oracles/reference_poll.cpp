// One poll of the reference engine's RX queue: packets, list to the stack, refill, complete or poll again.
#include <algorithm>

#include "models/cpu/core.hpp"

#include "tests/oracles/reference_nic.hpp"

namespace rxpool::reference {

Job Queue::NapiProcess::unit(Cpu& cpu) {
  if (!queue.scheduled) {
    sleeps = true;
    co_return;
  }
  cpu.bottom_halves_disabled = true;
  co_await cpu.deferred->flush(cpu);
  co_await queue.poll(cpu);
  sleeps = !queue.scheduled;
}

Job Queue::poll(Cpu& cpu) {
  co_await cpu.step(EventClass::poll);
  ++polls;
  const Time begin = cpu.clock;
  if (line_.triggered <= begin) line_.triggered = Time::never();
  cpu.charge(Step::napi_poll);
  co_await xmit.reap(cpu);
  co_await xdp_tx.reap(cpu);
  std::uint32_t handled = 0;
  while (handled < budget) {
    if (normal_list.size() >= nic_.scenario.kernel.gro_normal_batch) co_await deliver(cpu);
    co_await redirect.send_overfull(cpu);
    co_await cpumap_bulks.send_overfull(cpu);
    co_await cpu.step(EventClass::poll);
    if (ring.completions.empty()) break;
    one_packet(cpu);
    ++handled;
  }
  co_await xdp_tx.doorbell(cpu);
  co_await redirect.flush(cpu);
  co_await cpumap_bulks.flush(cpu);
  if (xsk != nullptr) co_await xsk->flush(cpu);
  co_await deliver(cpu);
  co_await buffers->refill(cpu);
  co_await cpu.step(EventClass::poll);
  if (handled != 0) cpu.warm_up((cpu.clock - begin) / handled);
  finish(cpu, handled, buffers->poll_again);
}

void Queue::one_packet(Cpu& cpu) {
  const Time begin = cpu.clock;
  const Ring::Completion completion = ring.completions.front();
  ring.completions.pop_front();
  --ring.in_use;
  if (!line_.masked) line_.update();  // a reader polls: what it takes asks for no interrupt any more
  const Packet& packet = completion.packet;
  ring.bytes_at_hand = packet.frame_bytes;
  cpu.charge(Step::rx_descriptor);
  cpu.charge(Step::dma_sync);
  ++rx_packets;
  rx_bytes += packet.frame_bytes;
  if (nic_.program != "none") cpu.charge(Step::xdp_call);
  if (nic_.program == "drop") {
    cpu.charge(Step::xdp_program_drop);
    nic_.journal.ended(packet, Fate::xdp_drop, cpu.clock);
    buffers->drop(cpu, completion.slot);
    return;
  }
  if (nic_.program == "tx") {
    const Time miss = touch(cpu, packet);
    cpu.charge(Step::xdp_program_tx);
    if (xdp_tx.full()) {
      ++xdp_tx_full;
      nic_.journal.ended(packet, Fate::xdp_tx_full, cpu.clock);
      buffers->drop(cpu, completion.slot);
      return;
    }
    ++xdp_tx_xmit;
    cpu.charge(Step::tx_descriptor);
    cpu.charge(miss);
    xdp_tx.write({packet, buffers.get(), buffers->take_frame(cpu, completion.slot)});
    return;
  }
  if (nic_.program == "redirect" && !nic_.cpumap.empty()) {
    redirect_to_cpu(cpu, completion);
    return;
  }
  if (nic_.program == "redirect") {
    const Time miss = touch(cpu, packet);
    cpu.charge(Step::xdp_program_redirect);
    if (packet.frame_bytes > nic_.target->mtu + 22) {
      ++redirect.errors;
      nic_.journal.ended(packet, Fate::xdp_redirect_err, cpu.clock);
      buffers->drop(cpu, completion.slot);
      return;
    }
    cpu.charge(Step::xdp_redirect);
    cpu.charge(miss);
    redirect.enqueue(*nic_.target, {packet, buffers.get(), buffers->take_frame(cpu, completion.slot)});
    return;
  }
  if (nic_.program == "xsk_def_prog") {
    cpu.charge(Step::xdp_program_redirect);
    if (xsk != nullptr) {
      if (redirect_to_xsk(cpu, completion, begin)) return;
      ++redirect.errors;
      nic_.journal.ended(packet, Fate::xdp_redirect_err, cpu.clock);
      buffers->drop(cpu, completion.slot);
      return;
    }
  }
  if (nic_.program == "pass") cpu.charge(Step::xdp_program_pass);

  if (refused(cpu, completion)) return;
  const PageId page = buffers->take(cpu, completion.slot);
  if (page == no_page) {
    nic_.journal.ended(packet, Fate::skb_alloc_failed, cpu.clock);
    return;
  }
  touch(cpu, packet);
  cpu.charge(Step::skb_alloc);
  cpu.charge(Step::skb_build);
  if (nic_.params.gro) cpu.charge(Step::gro_receive);
  auto skb = std::make_shared<Skb>();
  skb->packet = packet;
  skb->buffers = buffers.get();
  skb->page = page;
  skb->truesize = buffers->truesize;
  skb->allocated_on = &cpu;
  normal_list.push_back(skb);
}

bool Queue::refused(Cpu& cpu, const Ring::Completion& completion) {
  if (gate.level == BreakerGate::Level::closed || gate.admits(false)) return false;
  const bool hard = gate.level == BreakerGate::Level::hard;
  nic_.journal.ended(completion.packet, hard ? Fate::circuit_breaker_hard : Fate::circuit_breaker, cpu.clock);
  buffers->drop(cpu, completion.slot);
  return true;
}

void Queue::redirect_to_cpu(Cpu& cpu, const Ring::Completion& completion) {
  const Packet& packet = completion.packet;
  std::size_t entry = (packet.rss_hash * std::uint64_t{nic_.entries_in_use}) >> 32;
  if (nic_.round_robin) {
    entry = nic_.next_entry[cpu.number()];
    if (entry >= nic_.entries_in_use) entry = 0;
  } else {
    touch(cpu, packet);
  }
  cpu.charge(Step::xdp_program_redirect);
  if (refused(cpu, completion)) return;
  const PageId page = buffers->take(cpu, completion.slot);
  if (page == no_page) {
    nic_.journal.ended(packet, Fate::skb_alloc_failed, cpu.clock);
    return;
  }
  cpu.charge(Step::xdp_redirect);
  ++redirect.redirected;
  if (nic_.round_robin) nic_.next_entry[cpu.number()] = entry + 1;
  auto frame = std::make_shared<Skb>();
  frame->packet = packet;
  frame->buffers = buffers.get();
  frame->page = page;
  frame->truesize = buffers->truesize;
  cpumap_bulks.enqueue(*nic_.cpumap[entry], frame);
}

bool Queue::redirect_to_xsk(Cpu& cpu, const Ring::Completion& completion, Time begin) {
  if (umem == nullptr) return copy_to_xsk(cpu, completion, begin);
  cpu.charge(Step::xdp_redirect);
  if (!xsk->has_room(begin)) {
    ++xsk->rx_ring_full;
    return false;
  }
  cpu.charge(Step::xsk_ring_put);
  xsk->receive(completion.packet, umem->hand_over(completion.slot));
  ++redirect.redirected;
  return true;
}

bool Queue::copy_to_xsk(Cpu& cpu, const Ring::Completion& completion, Time begin) {
  if (refused(cpu, completion)) return true;
  cpu.charge(Step::xdp_redirect);
  const std::uint32_t bytes = completion.packet.frame_bytes - 4u;
  const bool fits = bytes <= 4096 - 256;
  const PageId frame = fits ? xsk->allocate(begin) : no_page;
  if (frame == no_page) {
    ++xsk->rx_dropped;
    xsk->fill_empty += fits ? 1 : 0;
    return false;
  }
  cpu.charge(Step::xsk_ring_get);
  touch(cpu, completion.packet);
  cpu.charge(cpu.price(Step::copy_to_user) + Time{cpu.price_per_byte(Step::copy_to_user) * bytes});
  if (!xsk->has_room(begin)) {
    ++xsk->rx_ring_full;
    xsk->kernel_list.push_back(frame);
    return false;
  }
  cpu.charge(Step::xsk_ring_put);
  xsk->receive(completion.packet, frame);
  ++redirect.redirected;
  const PageId page = buffers->take_frame(cpu, completion.slot);
  if (page == no_page) return true;
  MemoryContext context = cpu.context_now(true);
  buffers->put_direct(context, page);
  cpu.charge(context.cost);
  return true;
}

/// First read of packet data; what a second line of the buffer costs after it.
Time Queue::touch(Cpu& cpu, const Packet& packet) {
  const Probability miss = nic_.read_miss(packet);
  cpu.charge(Step::packet_touch);
  cpu.charge(Llc::charge(cpu.price(Step::llc_read_miss), miss));
  return Llc::charge(cpu.price(Step::llc_miss), miss);
}

Job Queue::deliver(Cpu& cpu) {
  while (!normal_list.empty()) {
    co_await cpu.step(EventClass::poll);
    const SkbPtr skb = normal_list.front();
    normal_list.pop_front();
    nic_.stack.receive(cpu, skb, nic_.params.netfilter);
  }
}

void Queue::start_timer(Cpu& cpu, Time at) {
  if (watchdog_.pinned_to != nullptr) watchdog_.pinned_to->detach(watchdog_);
  watchdog_.pinned_to = &cpu;
  watchdog_.at = at;
  cpu.attach(watchdog_);
}

bool Queue::defer_interrupts(Cpu& cpu) {
  defers_left_ = nic_.params.napi_defer_hard_irqs;
  if (defers_left_ == 0 || !(nic_.params.gro_flush_timeout_ns > 0)) return false;
  start_timer(cpu, cpu.clock + time_from_ns(nic_.params.gro_flush_timeout_ns));
  return true;
}

void Queue::suspend_interrupts(Cpu& cpu) {
  if (nic_.params.irq_suspend_timeout_ns > 0) {
    start_timer(cpu, cpu.clock + time_from_ns(nic_.params.irq_suspend_timeout_ns));
  }
}

void Queue::resume_interrupts(Cpu& cpu) {
  if (nic_.params.irq_suspend_timeout_ns > 0 && !scheduled) cpu.schedule(*this);
}

void Queue::finish(Cpu& cpu, std::uint32_t handled, bool busy) {
  packets = handled;
  if (handled == budget || busy) {
    if (handled == budget) ++full_polls;
    work = budget;
    if (!disabled_) return;
    cpu.charge(Step::napi_complete);
    scheduled = missed = false;
    list_owner = -1;
    return;
  }
  work = handled;
  if (params.napi_busy_poll || in_busy_poll) return;
  cpu.charge(Step::napi_complete);
  if (handled != 0) defers_left_ = nic_.params.napi_defer_hard_irqs;
  scheduled = false;
  list_owner = -1;
  const Time timeout = time_from_ns(nic_.params.gro_flush_timeout_ns);
  if (missed) {
    missed = false;
    cpu.schedule(*this);
  } else if (defers_left_ != 0 && timeout.ps != 0) {
    --defers_left_;
    start_timer(cpu, cpu.clock + timeout);
  } else {
    line_.masked = false;
    line_.armed = line_.cpu == &cpu ? cpu.clock : cpu.clock + Core::remote_latency;
    line_.update();
  }
}

// ---- DIM.

std::uint32_t Dim::usecs() const {
  constexpr std::uint32_t eqe[] = {1, 8, 64, 128, 256};
  constexpr std::uint32_t cqe[] = {2, 8, 16, 32, 64};
  return cqe_ ? cqe[profile_] : eqe[profile_];
}

std::uint32_t Dim::frames() const {
  constexpr std::uint32_t cqe[] = {256, 128, 64, 64, 64};
  return cqe_ ? cqe[profile_] : 256;
}

int Dim::compare(const Sample& now, const Sample& before) {
  const auto one = [](std::int64_t value, std::int64_t reference, int sign) {
    if (reference == 0) return value != 0 ? sign : 0;
    if (100 * std::abs(value - reference) / reference <= 10) return 0;
    return value > reference ? sign : -sign;
  };
  if (before.bytes == 0) return now.bytes != 0 ? 1 : 0;
  if (const int bytes = one(now.bytes, before.bytes, 1)) return bytes;
  if (before.packets == 0) return now.packets != 0 ? 1 : 0;
  if (const int packets = one(now.packets, before.packets, 1)) return packets;
  return before.events == 0 ? 0 : one(now.events, before.events, -1);
}

/// One profile further in the present direction, unless it is tired or at the edge.
void Dim::step() {
  if (tired_ == 10) {
    right_ = left_ = direction_ = 0;
    tired_parking_ = true;
    return;
  }
  if (profile_ + direction_ < 0 || profile_ + direction_ > 4) {
    right_ = left_ = tired_ = direction_ = 0;
    tired_parking_ = false;
    return;
  }
  profile_ += direction_;
  ++(direction_ > 0 ? right_ : left_);
  ++tired_;
}

void Dim::interrupt(Time now, std::uint64_t packets, std::uint64_t bytes) {
  if (begins_) {
    // The first interrupt of all, or of a new profile, only begins the measurement.
    begins_ = false;
    since_ = now;
    packets_ = packets;
    bytes_ = bytes;
    interrupts_ = 0;
    return;
  }
  if (++interrupts_ < 64) return;
  const std::int64_t us = std::max<std::int64_t>(1, (now - since_).ps / 1'000'000);
  const auto rate = [us](std::uint64_t count) { return (static_cast<std::int64_t>(count) * 1000 + us - 1) / us; };
  const Sample sample{rate(bytes - bytes_), rate(packets - packets_), rate(64)};
  since_ = now;
  packets_ = packets;
  bytes_ = bytes;
  interrupts_ = 0;

  const int profile_before = profile_;
  const bool parked_before = direction_ == 0 && !tired_parking_;
  if (direction_ == 0) {
    const bool leaves = tired_parking_ ? --tired_ == 0 : compare(sample, before_) != 0;
    if (leaves) {
      direction_ = profile_ > 0 ? -1 : 1;
      step();
    }
  } else {
    if (compare(sample, before_) != 1) {
      direction_ = -direction_;
      (direction_ > 0 ? right_ : left_) = 0;
    }
    const int here = direction_ > 0 ? right_ : left_;
    const int there = direction_ > 0 ? left_ : right_;
    if (there > 1 && here == 1) {
      right_ = left_ = tired_ = direction_ = 0;
      tired_parking_ = false;
    } else {
      step();
    }
  }
  const bool parked_now = direction_ == 0 && !tired_parking_;
  if (!(parked_before && parked_now)) before_ = sample;
  begins_ = profile_ != profile_before;
}

}  // namespace rxpool::reference
