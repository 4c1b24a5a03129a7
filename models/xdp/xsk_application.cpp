#include "models/xdp/xsk_application.hpp"

#include <utility>

namespace rxpool {

XskApplication::XskApplication(std::uint32_t batch, ApplicationParams application, Xsk& xsk, Journal& journal)
    : Task(Context::application),
      batch_most_(batch),
      application_(std::move(application)),
      xsk_(xsk),
      journal_(journal),
      timer_(*this) {
  batch_.reserve(batch);
  xsk.set_reader(*this);
}

void XskApplication::attach(Core& core) {
  core.add_thread(*this);
  core.attach(timer_);
  timer_.start(core, Time{0});
}

Task::Outcome XskApplication::sleep_until(Core& core, Time at) {
  timer_.start(core, at);
  return Outcome::sleeps;
}

void XskApplication::set_paused(Core& core, bool paused) {
  application_.set_paused(paused);
  if (!paused) core.wake_remotely(*this, core.engine().now());
}

Task::Outcome XskApplication::step(Core& core) {
  if (const Time until = application_.paused_until(core.now()); until > core.now()) return sleep_until(core, until);
  switch (phase_) {
    case Phase::take:
      return take(core);
    case Phase::work:
      work(core);
      return Outcome::ran;
    case Phase::give_back:
      give_back(core);
      return Outcome::ran;
  }
  return Outcome::ran;
}

Task::Outcome XskApplication::take(Core& core) {
  const Time now = core.now();
  while (batch_.size() < batch_most_ && xsk_.rx().readable(now)) batch_.push_back(xsk_.rx().consume());
  if (batch_.empty()) return block(core);
  xsk_.observe(now);
  core.charge(Step::xsk_ring_get, static_cast<std::int64_t>(batch_.size()));
  done_ = 0;
  phase_ = Phase::work;
  return Outcome::ran;
}

/// poll(2) on an empty RX ring.
Task::Outcome XskApplication::block(Core& core) {
  const bool wakes = xsk_.params().zero_copy && xsk_.rx_needs_wakeup(core.now());
  ++stats_.polls;
  core.charge(Step::syscall_entry);
  if (wakes) {
    core.charge(Step::doorbell);
    xsk_.wake_driver(core);
  }
  const Time at = xsk_.rx().readable_at();
  if (at <= core.now()) return Outcome::ran;
  if (at != Time::never()) return sleep_until(core, at);
  waits_for_packet_ = true;
  return Outcome::sleeps;
}

void XskApplication::work(Core& core) {
  const Packet& packet = batch_[done_++].packet;
  core.charge(Work::application, application_.next_service());
  ++stats_.delivered;
  latency_.record(core.now() - packet.arrival);
  journal_.ended(packet, Fate::delivered, core.now());
  if (done_ == batch_.size()) phase_ = Phase::give_back;
}

void XskApplication::give_back(Core& core) {
  core.charge(Step::xsk_ring_put, static_cast<std::int64_t>(batch_.size()));
  for (const Xsk::Descriptor& descriptor : batch_) xsk_.fill().produce(descriptor.frame);
  xsk_.fill().submit(core.now());
  xsk_.rx().release(core.now());
  batch_.clear();
  done_ = 0;
  phase_ = Phase::take;
}

}  // namespace rxpool
