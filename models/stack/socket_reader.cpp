#include "models/stack/socket_reader.hpp"

#include <algorithm>
#include <utility>

namespace rxpool {

SocketReader::SocketReader(SocketReaderParams params, Socket& socket, SkbSlab& slab, SkbFree& free, Journal& journal)
    : Task(Context::application),
      batch_(params.batch),
      interval_(params.interval),
      application_(std::move(params.application)),
      leak_(params.leak),
      socket_(socket),
      slab_(slab),
      free_(free),
      journal_(journal),
      timer_(*this) {}

void SocketReader::attach(Core& core) {
  core.add_thread(*this);
  core.attach(timer_);
  timer_.start(core, Time{0});  // starts as a process does: runs, finds nothing, blocks
}

Time SocketReader::enter_call(Core& core) {
  const Time until = std::max(application_.paused_until(core.now()), next_read_);
  if (until > core.now()) return until;
  received_ = 0;
  core.charge(Step::syscall_entry);
  phase_ = Phase::receive;
  return Time{0};
}

/// Decided once per message: freeing it may take two attempts.
bool SocketReader::draws_leak(Time now) {
  return leak_ && now >= leak_->start && leak_->draws.next_unit() < leak_->share;
}

Task::Outcome SocketReader::sleep_until(Core& core, Time at) {
  timer_.start(core, at);
  return Outcome::sleeps;
}

Task::Outcome SocketReader::wait_for_packet(Core& core) {
  if (busy_poll_ != nullptr && !has_polled_ && busy_poll_->begin(core.now())) {
    phase_ = Phase::busy_poll;
    return Outcome::ran;
  }
  has_polled_ = false;
  const Time at = socket_.readable_at();
  if (at != Time::never()) return sleep_until(core, at);
  waits_for_packet_ = true;
  return Outcome::sleeps;
}

Task::Outcome SocketReader::poll_for_packet(Core& core) {
  const BusyPoll::Turn turn = busy_poll_->turn(core, [this](Time now) {
    socket_.settle(now);
    return socket_.readable(now);
  });
  if (turn == BusyPoll::Turn::waiting) return Outcome::waiting;
  if (turn == BusyPoll::Turn::over) {
    has_polled_ = true;
    phase_ = Phase::receive;
  }
  return Outcome::ran;
}

void SocketReader::set_paused(Core& core, bool paused) {
  application_.set_paused(paused);
  if (!paused) core.wake_remotely(*this, core.engine().now());
}

/// It takes packets and leaves them to the CPU that allocated them, each in no less than this.
Time SocketReader::unnoticed_until(const Core& core) const {
  if (busy_poll_ != nullptr) return core.now();
  const std::uint32_t reads = socket_.unnoticed_reads(core);
  if (reads == 0) return core.now();
  const Time shortest = core.price(Step::socket_dequeue) + core.price(Step::copy_to_user);
  return core.now() + shortest * std::min(reads, free_.unnoticed_defers(socket_.alloc_cpu()));
}

Task::Outcome SocketReader::step(Core& core) {
  switch (phase_) {
    case Phase::call: {
      const Time until = enter_call(core);
      return until > core.now() ? sleep_until(core, until) : Outcome::ran;
    }
    case Phase::receive: {
      socket_.settle(core.now());
      if (!socket_.readable(core.now())) {
        if (received_ != 0) {
          phase_ = Phase::call;
          return Outcome::ran;
        }
        return wait_for_packet(core);
      }
      message_ = socket_.dequeue(core.now());
      leaks_message_ = draws_leak(core.now());
      const Packet& packet = slab_[message_].packet;
      if (busy_poll_ != nullptr) {
        busy_poll_->received(core, slab_[message_].pages);
        has_polled_ = false;
      }
      core.charge(Step::socket_dequeue);
      core.charge_bytes(Step::copy_to_user, packet.frame_bytes);
      ++socket_.stats().delivered;
      socket_.stats().bytes += packet.frame_bytes;
      socket_.latency().record(core.now() - packet.arrival);
      journal_.ended(packet, Fate::delivered, core.now());
      socket_.copied(core, message_);
      if (Trace* trace = journal_.trace; trace != nullptr && Trace::samples(packet.id)) [[unlikely]] {
        trace->moment(Trace::Stage::delivered, slab_[message_].pages, packet.id, core.cpu(), core.now());
      }
      phase_ = Phase::free;
      return Outcome::ran;
    }
    case Phase::busy_poll:
      return poll_for_packet(core);
    case Phase::free:
      if (leaks_message_) {
        leaked_.push_back(message_);
      } else if (!free_.attempt_defer(core, message_)) {
        return Outcome::waiting;
      }
      core.charge(Work::application, application_.next_service());
      if (interval_.ps != 0) next_read_ = std::max(next_read_, core.now() - interval_) + interval_;
      phase_ = Phase::receive;
      if (++received_ == batch_) {
        phase_ = Phase::call;
        enter_call(core);
      }
      return Outcome::ran;
  }
  return Outcome::ran;
}

}  // namespace rxpool
