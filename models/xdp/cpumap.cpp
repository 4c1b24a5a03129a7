#include "models/xdp/cpumap.hpp"

#include "models/memory/rx_pages.hpp"

namespace rxpool {

CpumapEntry::CpumapEntry(const CpumapEntryParams& params, const Environment& environment)
    : Task(Context::kthread),
      params_(params),
      env_(environment),
      ring_(params.qsize),
      list_(params.gro_normal_batch, params.gro_normal_batch + Napi::weight) {
  name = params.name;
}

// ---- By the CPU that redirects.

bool CpumapEntry::enqueue(Core& core, std::span<const SkbId> frames) {
  if (core.interrupt_due() || !core.may_step(EventClass::poll)) return false;
  const auto count = static_cast<std::uint32_t>(frames.size());
  SkbSlab& slab = *env_.slab;
  if (!ring_.has_room(count)) {
    // Drops go back to the pool of the NAPI that redirects, all frames of a bulk to the same.
    const RxPages& pages = *slab[frames[0]].pages;
    if (pages.puts_may_touch_zone(core.memory(true), count, true) && !core.may_touch_shared(EventClass::poll)) {
      return false;
    }
  }
  core.charge(Step::ptr_ring_lock);
  if (last_producer_ != core.cpu()) core.charge(Step::llc_hit);
  last_producer_ = core.cpu();
  core.charge(Step::cpumap_ring_put, count);
  std::uint32_t produced = 0;
  while (produced < count && ring_.produce(frames[produced])) ++produced;
  if (produced != count) {
    MemoryContext& context = core.memory(true);
    for (const SkbId id : frames.subspan(produced)) {
      Skb& frame = slab[id];
      env_.journal->ended(frame.packet, Fate::xdp_cpumap_enqueue, core.now());
      frame.pages->put_direct(context, frame.page);
      slab.free(id);
    }
    core.charge_memory();
  }
  for (const SkbId id : frames.first(produced)) slab[id].visible = core.now();
  ++stats_.enqueue;
  stats_.enqueue_processed += count;
  stats_.enqueue_drops += count - produced;
  return true;
}

bool CpumapEntry::wake_up(Core& core) {
  if (core.interrupt_due() || !core.may_step(EventClass::poll)) return false;
  core.charge(asleep_ ? Step::cpumap_wakeup : Step::cpumap_wakeup_running);
  if (!asleep_) return true;
  asleep_ = false;
  core.wake(*this);
  return true;
}

// ---- By its thread.

Task::Outcome CpumapEntry::step(Core& core) {
  while (true) {
    switch (phase_) {
      case Phase::consume:
        if (!readable(core.now())) {
          asleep_ = true;
          return Outcome::sleeps;
        }
        if (!may_consume(core)) return Outcome::waiting;
        core.disable_bottom_halves();
        consume(core);
        phase_ = Phase::receive;
        break;
      case Phase::receive:
        if (!receive(core)) return Outcome::waiting;
        phase_ = Phase::flush;
        break;
      case Phase::flush:
        if (!flush(core)) return Outcome::waiting;
        phase_ = Phase::consume;
        return Outcome::ran;
    }
  }
}

/// A program that drops gives pages back, which may reach the zone.
bool CpumapEntry::may_consume(Core& core) const {
  using enum CpumapEntryParams::Program;
  if (params_.program == none || params_.program == pass) return true;
  const MemoryContext& context = core.memory(true);
  const RxPages* last = nullptr;
  for (std::uint32_t i = 0; i < std::min(ring_.count(), batch_most); ++i) {
    const RxPages* pages = (*env_.slab)[ring_.at(i)].pages;
    if (pages == last) continue;
    last = pages;
    if (pages->puts_may_touch_zone(context, batch_most, false)) return core.may_touch_shared(EventClass::thread);
  }
  return true;
}

/// One step: up to eight frames off the ring, the program over them, their skbs.
void CpumapEntry::consume(Core& core) {
  const Time begin = core.now();
  std::uint32_t count = 0;
  while (count < batch_most && readable(begin)) skbs_[count++] = ring_.consume();
  ++stats_.kthread;
  stats_.kthread_processed += count;
  packets_ += count;
  batch_ = count;
  next_ = 0;
  core.charge(Step::cpumap_dequeue, count);
  if (params_.program != CpumapEntryParams::Program::none) run_program(core, count);
  core.charge(Step::skb_alloc_bulk, batch_);
  core.charge(Step::skb_build, batch_);
  core.charge(Step::packet_touch, batch_);  // eth_type_trans reads the header
  for (std::uint32_t i = 0; i < batch_; ++i) (*env_.slab)[skbs_[i]].alloc_cpu = core.cpu();
}

/// What it does not let pass is freed at once.
void CpumapEntry::run_program(Core& core, std::uint32_t count) {
  std::array<SkbId, batch_most> dropped;
  std::uint32_t drops = 0;
  batch_ = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const SkbId id = skbs_[i];
    if (passes(core, (*env_.slab)[id].packet)) {
      skbs_[batch_++] = id;
    } else {
      dropped[drops++] = id;
    }
  }
  stats_.xdp_pass += batch_;
  stats_.xdp_drop += drops;
  if (drops == 0) return;
  MemoryContext& context = core.memory(true);
  for (const SkbId id : std::span(dropped).first(drops)) {
    const Skb& frame = (*env_.slab)[id];
    env_.journal->ended(frame.packet, Fate::xdp_cpumap_drop, core.now());
    frame.pages->put(context, frame.page);  // PP-33: not direct unless the pool's NAPI is scheduled here
    env_.slab->free(id);
  }
  core.charge_memory();
}

bool CpumapEntry::passes(Core& core, const Packet& packet) {
  core.charge(Step::xdp_call);
  if (params_.program == CpumapEntryParams::Program::policy) {
    const XdpVerdict verdict = params_.policy->run(packet, core.cpu(), core.now());
    core.charge(Work::xdp_program, verdict.cost);
    return verdict.action == XdpAction::pass;
  }
  const bool drops = params_.program == CpumapEntryParams::Program::drop;
  core.charge(drops ? Step::xdp_program_drop : Step::xdp_program_pass);
  return !drops;
}

/// SK-13: each skb passes GRO to the list, which goes to the stack when it is full.
bool CpumapEntry::receive(Core& core) {
  while (next_ < batch_) {
    if (list_.full() && !list_.deliver(core, *env_.stack, *env_.netfilter)) return false;
    if (params_.gro && params_.flushes_late) core.charge(Step::gro_receive);
    list_.add(skbs_[next_++]);
  }
  return !list_.full() || list_.deliver(core, *env_.stack, *env_.netfilter);
}

/// XD-34: the list goes to the stack when the ring is empty or after 64 packets; before 6.15 after every batch.
bool CpumapEntry::flush(Core& core) {
  if (!flushing_) {
    if (params_.flushes_late) {
      if (core.interrupt_due() || !core.may_step(EventClass::poll)) return false;
      if (packets_ < Napi::weight && readable(core.now())) return true;
    }
    packets_ = 0;
    flushing_ = true;
  }
  if (!list_.deliver(core, *env_.stack, *env_.netfilter)) return false;
  flushing_ = false;
  return true;
}

}  // namespace rxpool
