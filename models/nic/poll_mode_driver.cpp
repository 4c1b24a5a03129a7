#include "models/nic/poll_mode_driver.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace rxpool {

PollModeDriver::PollModeDriver(std::uint32_t burst, ApplicationParams application, Queue queue, TxQueue* transmit,
                               Journal& journal)
    : Task(Context::application),
      burst_(burst),
      application_(std::move(application)),
      queue_(queue),
      transmit_(transmit),
      journal_(journal),
      timer_(*this) {
  batch_.reserve(burst);
}

void PollModeDriver::attach(Core& core) {
  core.add_thread(*this);
  core.attach(timer_);
  timer_.start(core, Time{0});
}

void PollModeDriver::set_paused(Core& core, bool paused) {
  application_.set_paused(paused);
  if (!paused) core.wake_remotely(*this, core.engine().now());
}

Task::Outcome PollModeDriver::step(Core& core) {
  if (phase_ == Phase::free_sent || phase_ == Phase::doorbell) return send(core);
  if (const Time until = application_.paused_until(core.now()); until > core.now()) {
    timer_.start(core, until);
    return Outcome::sleeps;
  }
  if (phase_ == Phase::look) return look(core);
  return phase_ == Phase::work ? work(core) : send(core);
}

/// Are all transfers up to the core's clock known? If not, it has re-armed itself.
bool PollModeDriver::knows_the_ring(Core& core) {
  const Time now = core.now();
  if (queue_.port.known() >= now) return true;
  core.engine().set_running_at(now);
  if (queue_.port.catch_up(std::max(now, core.engine().private_horizon())) >= now) return true;
  core.wait(EventClass::thread);
  return false;
}

/// Last instant at which a step that touches only this queue's things may begin without asking.
Time PollModeDriver::private_until(const Core& core) const {
  return std::min({core.private_limit(), core.next_interrupt() - picoseconds(1), queue_.port.known()});
}

Task::Outcome PollModeDriver::look(Core& core) {
  if (!knows_the_ring(core)) return Outcome::postponed;
  const Time now = core.now();
  RxRing& ring = queue_.ring;
  while (batch_.size() < burst_ && ring.completed_at(1) <= now) {
    const Packet& packet = ring.completion();
    stats_.ibytes += packet.frame_bytes;
    batch_.push_back({packet, queue_.buffers.take(core, ring, ring.next_polled_slot())});
    ring.poll(1);
  }
  if (batch_.empty()) {
    look_in_vain(core);
    return Outcome::ran;
  }
  ++stats_.rx_bursts;
  stats_.ipackets += batch_.size();
  core.charge(Step::rx_burst);
  core.charge(Step::llc_hit);  // the line of the descriptors, which the NIC wrote last
  core.charge(Step::rx_descriptor, static_cast<std::int64_t>(batch_.size()));
  queue_.buffers.refill(core, ring);
  done_ = 0;
  phase_ = Phase::work;
  return Outcome::ran;
}

/// This look finds nothing, and neither do those that begin before a packet can be seen or anything else happens.
void PollModeDriver::look_in_vain(Core& core) {
  const Time price = core.price(Step::rx_burst);
  const Time end = std::min(
      {queue_.ring.completed_at(1), private_until(core) + picoseconds(1), application_.next_pause(core.now())});
  const std::int64_t looks = std::max<std::int64_t>(1, (end - core.now() + price - picoseconds(1)) / price);
  stats_.rx_bursts += static_cast<std::uint64_t>(looks);
  stats_.empty_bursts += static_cast<std::uint64_t>(looks);
  core.charge(Step::rx_burst, looks);
}

Task::Outcome PollModeDriver::work(Core& core) {
  if (!knows_the_ring(core)) return Outcome::postponed;
  const Time limit = private_until(core);
  do {
    one_packet(core);
  } while (done_ != batch_.size() && core.now() <= limit && application_.paused_until(core.now()) <= core.now());
  if (done_ != batch_.size()) return Outcome::ran;
  if (transmit_ != nullptr) {
    phase_ = Phase::send;
  } else {
    batch_.clear();
    done_ = 0;
    phase_ = Phase::look;
  }
  return Outcome::ran;
}

void PollModeDriver::one_packet(Core& core) {
  const Mbuf& mbuf = batch_[done_++];
  const Probability miss = queue_.port.read_miss(mbuf.packet, core.now(), queue_.index);
  core.charge(Step::packet_touch);
  core.charge(Step::llc_read_miss, Llc::charge(core.price(Step::llc_read_miss), miss));
  core.charge(Work::application, application_.next_service());
  if (transmit_ != nullptr) return;
  ++stats_.delivered;
  latency_.record(core.now() - mbuf.packet.arrival);
  journal_.ended(mbuf.packet, Fate::delivered, core.now());
  queue_.buffers.put(core.memory(false), mbuf.page);
  core.charge_memory();
}

Task::Outcome PollModeDriver::send(Core& core) {
  if (phase_ == Phase::send) {
    if (transmit_->completed_at() <= core.now()) core.charge(Step::llc_hit);  // the line of the completion
    phase_ = Phase::free_sent;
  }
  if (phase_ == Phase::free_sent) {
    if (!transmit_->reap(core)) return Outcome::waiting;
    send_burst(core);
    phase_ = Phase::doorbell;
  }
  if (!transmit_->ring_doorbell(core)) return Outcome::waiting;
  phase_ = Phase::look;
  return Outcome::ran;
}

/// PM-4: what finds no descriptor, the application frees.
void PollModeDriver::send_burst(Core& core) {
  const auto room = static_cast<std::size_t>(transmit_->size() - transmit_->fill());
  const std::size_t sent = std::min(batch_.size(), room);
  for (const Mbuf& mbuf : std::span(batch_).first(sent)) {
    transmit_->post({.packet = mbuf.packet, .pages = &queue_.buffers, .page = mbuf.page});
  }
  core.charge(Step::tx_descriptor, static_cast<std::int64_t>(sent));
  for (const Mbuf& mbuf : std::span(batch_).subspan(sent)) {
    ++stats_.tx_burst_full;
    journal_.ended(mbuf.packet, Fate::tx_burst_full, core.now());
    queue_.buffers.put(core.memory(false), mbuf.page);
    core.charge_memory();
  }
  batch_.clear();
  done_ = 0;
}

}  // namespace rxpool
