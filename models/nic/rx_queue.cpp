#include "models/nic/rx_queue.hpp"

#include <algorithm>
#include <utility>

#include "models/stack/return_hook.hpp"

namespace rxpool {

RxQueue::RxQueue(RxQueueParams params, Port& port, RxEnvironment environment, const NetfilterParams& netfilter,
                 const XdpHook& hook)
    : params_(std::move(params)),
      port_(port),
      env_(environment),
      netfilter_(netfilter),
      hook_(hook),
      ring_(params_.ring_size),
      redirect_(*environment.journal, stats_.xdp_exception, hook.egress),
      moderation_(params_.coalescing, params_.adaptive_rx, params_.cqe_mode),
      line_(*this),
      watchdog_(*this),
      normal_list_(params_.gro_normal_batch, weight) {}

bool RxQueue::power_on(std::unique_ptr<RxBuffers> buffers, MemoryContext& context) {
  buffers_ = std::move(buffers);
  return buffers_->fill(context, ring_);
}

void RxQueue::set_affinity(Core& core) {
  if (line_.core != nullptr) line_.core->detach(line_);
  line_.core = &core;
  port_.set_queue(params_.index, ring_, core.event());
  line_.update();
  core.attach(line_);
  core.interrupt_line_moved();
}

void RxQueue::give_to_user_space(Core& core) {
  line_.core = &core;
  line_.mask();
  port_.set_queue(params_.index, ring_, core.event());
}

void RxQueue::make_threaded(Core& core) {
  thread_ = std::make_unique<NapiThread>(*this, core.softirq().deferred());
  thread_->name = params_.name + ".napi";
  thread_->component_id = params_.index + 1;
  core.add_thread(*thread_);
  thread = thread_.get();
}

std::unique_ptr<RxBuffers> RxQueue::take_down(MemoryContext& context) {
  ensure(disabled_ && !scheduled, "rx_queue: taken down while it is polled");
  for (std::uint32_t i = 0; i < ring_.completed(); ++i) {
    env_.journal->ended(ring_.completion(i), Fate::rx_queue_restart, context.now);
  }
  ring_.poll(ring_.completed());
  buffers_->give_back(context, ring_);
  watchdog_.cancel();
  return std::move(buffers_);
}

void RxQueue::bring_up(std::unique_ptr<RxBuffers> buffers, std::uint32_t ring_size, MemoryContext& context) {
  ring_ = RxRing(ring_size);
  power_on(std::move(buffers), context);
  disabled_ = false;
  line_.enable(context.now);
}

void RxQueue::observe(Time now) {
  held_.set(now, buffers_->held());
  inflight_.set(now, buffers_->inflight());
}

void RxQueue::observe_sent(Time now) {
  if (xdp_tx_ != nullptr) xdp_tx_->observe(now);
  if (xmit_ != nullptr) xmit_->observe(now);
}

/// XD-63: marks a NAPI that is scheduled already; otherwise the NIC is asked for an interrupt.
void RxQueue::wake_up(Core& by) {
  if (scheduled) {
    missed = true;
    return;
  }
  line_.trigger(by.now() + Core::remote_latency);
  line_changed(by);
}

void RxQueue::line_changed(Core& by) {
  by.engine().set_running_at(by.now());
  line_.update();
  if (line_.core == &by) {
    by.interrupts_changed();
  } else {
    line_.core->interrupt_line_moved();
  }
}

// ---- Interrupts.

void RxQueue::Line::update() {
  at_ = Time::never();
  if (masked_) return;
  Moderation::Instant instant = queue_.moderation_.fires(queue_.ring_, armed_, queue_.port_.known());
  if (!instant.exact) {
    queue_.port_.catch_up(core->engine().private_horizon());
    instant = queue_.moderation_.fires(queue_.ring_, armed_, queue_.port_.known());
  }
  at_ = instant.at;
  exact_ = instant.exact;
  if (!instant.exact && queue_.ring_.completed() == 0) {
    at_ = std::max(at_, queue_.port_.next_completion_bound(queue_.params_.index));
  }
  rx_at_ = at_;
  const Time tx_at = queue_.xmit_ == nullptr ? Time::never() : queue_.xmit_->fires(armed_);
  if (tx_at < at_) {
    at_ = tx_at;
    exact_ = true;
  }
  if (triggered_ < at_) {
    at_ = std::max(triggered_, armed_);
    exact_ = true;
  }
}

void RxQueue::Line::unmask(Core& on, Time at) {
  masked_ = false;
  armed_ = core == &on ? at : at + Core::remote_latency;
  update();
  if (core == &on) {
    core->interrupts_changed();
  } else {
    core->interrupt_line_moved();
  }
}

/// Nobody knows yet when it fires, and the port may not run ahead of a CPU that waits for nothing: the CPU is asked to
/// look at once.
void RxQueue::Line::enable(Time at) {
  masked_ = false;
  armed_ = at_ = rx_at_ = at;
  exact_ = false;
  core->interrupt_line_moved();
}

bool RxQueue::Line::interrupt(Core& on) {
  const Time asked = at_;
  update();
  // A later instant than the one asked for: another interrupt may come first.
  if (!exact_ || at_ != asked) return false;
  // Of two completion queues on one vector only the receiving one's events count for DIM.
  const bool received = at_ == rx_at_;
  at_ = Time::never();
  masked_ = true;
  on.enter_hardirq(Step::hardirq);
  ++queue_.stats_.interrupts;
  if (received) queue_.moderation_.interrupted(on.now(), queue_.stats_.rx_packets, queue_.stats_.rx_bytes);
  if (queue_.scheduled) {
    queue_.missed = true;  // NA-1
  } else if (!queue_.disabled_) {
    on.napi_schedule(queue_);
  }
  on.leave_hardirq();
  return true;
}

bool RxQueue::defer_interrupts(Core& core) {
  defer_irqs_left_ = params_.napi_defer_hard_irqs;
  if (defer_irqs_left_ == 0 || params_.gro_flush_timeout.ps == 0) return false;
  watchdog_.start(core, core.now() + params_.gro_flush_timeout);
  return true;
}

void RxQueue::suspend_interrupts(Core& core) {
  if (params_.irq_suspend_timeout.ps != 0) watchdog_.start(core, core.now() + params_.irq_suspend_timeout);
}

void RxQueue::resume_interrupts(Core& core) {
  if (params_.irq_suspend_timeout.ps != 0 && !scheduled) core.napi_schedule(*this);
}

bool RxQueue::Watchdog::interrupt(Core& core) {
  at_ = Time::never();
  core.enter_hardirq(Step::hardirq);
  if (!queue_.scheduled && !queue_.disabled_) core.napi_schedule(queue_);
  core.leave_hardirq();
  return true;
}

// ---- One poll.

Napi::Poll RxQueue::poll(Core& core) {
  while (true) {
    switch (phase_) {
      case Phase::begin:
        if (core.interrupt_due() || !core.may_step(EventClass::poll)) return Poll::waiting;
        handled_ = 0;
        busy_ = false;
        poll_start_ = core.now();
        ++stats_.polls;
        line_.served(core.now());
        core.charge(Step::napi_poll);
        phase_ = Phase::reap;
        break;
      case Phase::reap:
        if (xmit_ != nullptr && !xmit_->reap(core)) return Poll::waiting;
        if (xdp_tx_ != nullptr && !xdp_tx_->reap(core)) return Poll::waiting;
        phase_ = Phase::packets;
        break;
      case Phase::packets:
        if (!run_packets(core)) return Poll::waiting;
        phase_ = Phase::flush;
        break;
      case Phase::flush:
        if (xdp_tx_ != nullptr && !xdp_tx_->ring_doorbell(core)) return Poll::waiting;
        if (redirect_.pending() && !redirect_.flush(core)) return Poll::waiting;
        phase_ = Phase::deliver;
        break;
      case Phase::deliver:
        if (!deliver(core)) return Poll::waiting;
        phase_ = Phase::refill;
        break;
      case Phase::refill: {
        const RxBuffers::Refill refill = buffers_->refill(core, ring_);
        if (refill == RxBuffers::Refill::waiting) return Poll::waiting;
        busy_ = refill == RxBuffers::Refill::repoll;
        phase_ = Phase::complete;
        break;
      }
      case Phase::complete:
        if (core.interrupt_due() || !core.may_step(EventClass::poll)) return Poll::waiting;
        if (handled_ != 0) core.warm_up((core.now() - poll_start_) / handled_);
        if (!finish(core)) return Poll::waiting;
        observe(core.now());
        if (Trace* trace = env_.journal->trace; trace != nullptr) [[unlikely]] {
          trace->poll(static_cast<const RxPages*>(buffers_.get()), core.cpu(), poll_start_, core.now(), handled_);
        }
        phase_ = Phase::begin;
        return Poll::finished;
    }
  }
}

/// Is there a completion that the driver sees at the core's clock? Whoever reads packet data needs all DMA up to then.
RxQueue::Look RxQueue::look(Core& core) {
  const Time now = core.now();
  const bool reads = hook_.kind != XdpHook::Kind::drop;
  const auto seen = [&] { return ring_.completed_at(1) <= now; };
  if (!reads && seen()) return Look::packet;
  if (port_.known() < now) {
    core.engine().set_running_at(now);
    port_.catch_up(std::max(now, core.engine().private_horizon()));
  }
  if (port_.known() >= now) return seen() ? Look::packet : Look::none;
  if (!reads && seen()) return Look::packet;
  // Another queue's CPU decides what happens before `now`: let it come first.
  core.wait(EventClass::poll);
  return Look::waiting;
}

bool RxQueue::run_packets(Core& core) {
  const bool only_drops = hook_.kind == XdpHook::Kind::drop && buffers_->drops_for_free();
  while (handled_ < budget) {
    if (normal_list_.full() && !deliver(core)) return false;
    if (redirect_.overfull() && !redirect_.send_overfull(core)) return false;
    if (core.interrupt_due() || !core.may_step_ahead(EventClass::poll)) return false;
    const Look look_result = look(core);
    if (look_result == Look::waiting) return false;
    if (look_result == Look::none) return true;
    if (only_drops) {
      handled_ += drop_run(core);
    } else {
      if (!may_handle(core)) return false;
      handled_ += hook_.kind == XdpHook::Kind::program ? program_run(core)
                  : keeps_alike()                      ? keep_run(core)
                                                       : one_packet(core);
    }
  }
  return true;
}

/// Is it the turn of the packet at hand to touch what it may touch?
bool RxQueue::may_handle(Core& core) {
  const bool to_umem = umem_ != nullptr && hook_.kind == XdpHook::Kind::xsk;
  const RxBuffers::Reach reach =
      to_umem ? RxBuffers::Reach::group : buffers_->reach(core.memory(true), ring_, ring_.next_polled_slot());
  const bool shares_maps = hook_.kind == XdpHook::Kind::program && hook_.program->shares_state();
  const bool in_turn = shares_maps || xsk_ != nullptr || reach != RxBuffers::Reach::cpu;
  if (in_turn && !core.may_step(EventClass::poll)) return false;
  return reach != RxBuffers::Reach::zone || core.may_touch_shared(EventClass::poll);
}

bool RxQueue::build_skb(Core& core, const Packet& packet, std::uint32_t slot) {
  const PageId page = buffers_->take(core, ring_, slot);
  if (page == no_page) return false;
  touch(core, packet);  // eth_type_trans reads the header
  core.charge_together(Step::skb_alloc, Step::skb_build);
  if (params_.gro) core.charge(Step::gro_receive);
  const SkbId id = keep(core, packet, page, core.now());
  Skb& skb = (*env_.slab)[id];
  skb.return_hook = hook_.kind == XdpHook::Kind::program ? hook_.returns : nullptr;
  if (skb.return_hook != nullptr) skb.cookie = skb.return_hook->cookie();
  normal_list_.add(id);
  return true;
}

/// No page for the skb, or for the copy that a frame without memory of its own needs.
void RxQueue::no_memory(Core& core, const Packet& packet) {
  ++stats_.skb_alloc_fail;
  env_.journal->ended(packet, Fate::skb_alloc_failed, core.now());
}

/// NA-21 to NA-24, NA-47: repoll, or complete, with the interrupt unmasked unless it is deferred.
bool RxQueue::finish(Core& core) {
  if (handled_ >= budget || busy_) {
    if (handled_ >= budget) ++stats_.full_polls;
    work_ = budget;
    if (!disabled_) return true;
    core.charge(Step::napi_complete);  // NA-26: not by the driver, which has not armed its interrupt
    scheduled = false;
    list_owner = -1;
    missed = false;
    return true;
  }
  work_ = handled_;
  if (params_.busy_poll || in_busy_poll) return true;  // stays scheduled
  core.charge(Step::napi_complete);
  if (handled_ != 0) defer_irqs_left_ = params_.napi_defer_hard_irqs;
  scheduled = false;
  list_owner = -1;
  if (missed) {
    missed = false;
    core.napi_schedule(*this);
    return true;
  }
  if (defer_irqs_left_ != 0 && params_.gro_flush_timeout.ps != 0) {
    --defer_irqs_left_;
    watchdog_.start(core, core.now() + params_.gro_flush_timeout);
    return true;
  }
  core.engine().set_running_at(core.now());
  line_.unmask(core, core.now());
  return true;
}

}  // namespace rxpool
