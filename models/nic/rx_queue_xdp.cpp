// The packets of a poll: built-in programs and policies in the driver's hook, and what becomes of a packet then.
#include <algorithm>
#include <array>

#include "models/nic/rx_queue.hpp"
#include "sim/error.hpp"

namespace rxpool {

/// The driver's loop around a policy. A step per packet as in one_packet(), but what is the same for all is added up at
/// the end, and the last packet's verdict is left to the caller.
class RxQueue::ProgramRun final : public XdpLoop {
 public:
  ProgramRun(RxQueue& queue, Core& core, std::span<const Packet> packets)
      : queue_(queue),
        core_(core),
        packet_(packets.data()),
        last_(packet_ + packets.size() - 1),
        reads_(queue.hook_.program->reads_packet()),
        before_(core.price(Step::rx_descriptor) + core.price(Step::dma_sync) + core.price(Step::xdp_call) +
                (reads_ ? core.price(Step::packet_touch) : Time{0})),
        llc_read_miss_(core.price(Step::llc_read_miss)),
        limit_(std::min(
            {queue.hook_.program->shares_state() || queue.xsk_ != nullptr ? core.private_limit() : core.ahead_limit(),
             core.next_interrupt() - picoseconds(1), queue.port_.known()})),
        now_(core.now()) {}

  /// A step begins: when does the program?
  Time begin() {
    queue_.step_start_ = now_;
    now_ += before_;
    if (reads_) {
      queue_.read_miss_ = queue_.port_.read_miss(*packet_, queue_.step_start_, queue_.params_.index);
      const Time cost = Llc::charge(llc_read_miss_, queue_.read_miss_);
      missed_ += cost;
      now_ += cost;
    }
    return now_;
  }

  bool answered(const XdpVerdict& verdict, Time& start) override {
    now_ += verdict.cost;
    program_ += verdict.cost;
    bytes_ += packet_->frame_bytes;
    latencies_ps_[count_++] = (now_ - packet_->arrival).ps;
    if (verdict.action != XdpAction::drop || packet_ == last_ || now_ > limit_ || packet_[1].completed > now_) {
      verdict_ = verdict;
      return false;
    }
    Journal::add(drops_, *packet_++, Fate::xdp_drop, now_);
    start = begin();
    return true;
  }

  /// Books what the steps took and who was dropped; how many packets were run.
  std::uint32_t book() {
    const auto times = static_cast<std::int64_t>(count_);
    core_.advance(now_ - core_.now());
    core_.attribute(Step::rx_descriptor, times);
    core_.attribute(Step::dma_sync, times);
    core_.attribute(Step::xdp_call, times);
    if (reads_) {
      core_.attribute(Step::packet_touch, times);
      core_.attribute(Step::llc_read_miss, missed_);
    }
    core_.attribute(Work::xdp_program, program_);
    RxQueueStats& stats = queue_.stats_;
    stats.rx_packets += count_;
    stats.program_runs += count_;
    stats.rx_bytes += bytes_;
    stats.xdp_drop += count_ - 1;
    stats.xdp_pass += verdict_.action == XdpAction::pass ? 1 : 0;
    queue_.env_.journal->ended(Fate::xdp_drop, count_ - 1, drops_);
    if (queue_.params_.record_latency) queue_.latency_.record_all(std::span(latencies_ps_).first(count_));
    return count_;
  }
  const Packet& packet() const { return *packet_; }
  const XdpVerdict& verdict() const { return verdict_; }

 private:
  RxQueue& queue_;
  Core& core_;
  const Packet* packet_;  ///< at hand
  const Packet* last_;
  bool reads_;
  Time before_;  ///< of a step, until the program is called
  Time llc_read_miss_;
  Time limit_;  ///< no step begins after it
  Time now_;
  Time missed_{0};
  Time program_{0};
  XdpVerdict verdict_;
  std::uint32_t count_ = 0;
  std::uint64_t bytes_ = 0;
  Fingerprint drops_;
  std::array<std::int64_t, weight> latencies_ps_;
};

/// Packets that a policy sees: the one at hand, and more while all are dropped and nobody can interfere.
std::uint32_t RxQueue::program_run(Core& core) {
  const bool drops_alone =
      buffers_->drops_for_free() &&
      buffers_->reach(core.memory(true), ring_, ring_.next_polled_slot()) == RxBuffers::Reach::cpu &&
      env_.journal->trace == nullptr;
  const std::span<const Packet> packets = ring_.adjacent_completions();
  const std::size_t most = drops_alone ? std::min<std::size_t>(budget - handled_, packets.size()) : 1;
  read_miss_ = 0;
  ProgramRun run(*this, core, packets.first(most));
  const Time start = run.begin();
  hook_.program->run(packets.first(most), core.cpu(), start, run);
  const std::uint32_t count = run.book();
  ring_.poll(count - 1);
  obey(core, run.packet(), run.verdict());
  ring_.poll(1);
  return count;
}

std::uint32_t RxQueue::one_packet(Core& core) {
  const Packet& packet = ring_.completion();
  step_start_ = core.now();
  read_miss_ = 0;
  core.charge_together(Step::rx_descriptor, Step::dma_sync);
  const XdpAction action = built_in(core, packet);
  ++stats_.rx_packets;
  ++stats_.program_runs;
  stats_.rx_bytes += packet.frame_bytes;
  if (params_.record_latency) latency_.record(core.now() - packet.arrival);
  obey(core, packet, {.action = action});
  ring_.poll(1);
  return 1;
}

/// Does with the packet in the slot polled next what the program said.
void RxQueue::obey(Core& core, const Packet& packet, const XdpVerdict& verdict) {
  const XdpAction action = verdict.action;
  const std::uint32_t slot = ring_.next_polled_slot();
  if (action == XdpAction::pass) {
    if (gate_.level != BreakerGate::Level::closed && !gate_.admits(hook_.kind == XdpHook::Kind::program)) [[unlikely]] {
      refuse(core, packet, slot);
    } else if (!build_skb(core, packet, slot)) {
      no_memory(core, packet);
    }
  } else if (action == XdpAction::drop) {
    ++stats_.xdp_drop;
    env_.journal->ended(packet, Fate::xdp_drop, core.now());
    buffers_->drop(core, ring_, slot);
  } else {
    const bool gone = action == XdpAction::tx         ? transmit(core, packet, slot, verdict)
                      : action == XdpAction::redirect ? redirect_packet(core, packet, slot, verdict)
                                                      : false;
    if (!gone) not_sent(core, packet, slot, action);
  }
  if (env_.journal->trace != nullptr) [[unlikely]] {
    trace_packet(core, packet, step_start_, action == XdpAction::pass ? Time::never() : core.now());
  }
}

/// The circuit breaker: dropped, and the page recycled directly.
void RxQueue::refuse(Core& core, const Packet& packet, std::uint32_t slot) {
  const bool hard = gate_.level == BreakerGate::Level::hard;
  env_.journal->ended(packet, hard ? Fate::circuit_breaker_hard : Fate::circuit_breaker, core.now());
  buffers_->drop(core, ring_, slot);
  if (Trace* trace = env_.journal->trace; trace != nullptr && Trace::samples(packet.id)) [[unlikely]] {
    const void* const self = static_cast<const RxPages*>(buffers_.get());
    trace->moment(Trace::Stage::returned, self, packet.id, core.cpu(), core.now());
  }
}

void RxQueue::trace_packet(Core& core, const Packet& packet, Time polled, Time returned) {
  if (!Trace::samples(packet.id)) return;
  Trace& trace = *env_.journal->trace;
  const void* const self = static_cast<const RxPages*>(buffers_.get());
  trace.moment(Trace::Stage::arrived, self, packet.id, core.cpu(), packet.arrival);
  trace.moment(Trace::Stage::completed, self, packet.id, core.cpu(), packet.completed);
  trace.moment(Trace::Stage::polled, self, packet.id, core.cpu(), polled);
  if (returned != Time::never()) trace.moment(Trace::Stage::returned, self, packet.id, core.cpu(), returned);
}

XdpAction RxQueue::built_in(Core& core, const Packet& packet) {
  switch (hook_.kind) {
    case XdpHook::Kind::none:
      return XdpAction::pass;
    case XdpHook::Kind::pass:
      core.charge(Step::xdp_call);
      core.charge(Step::xdp_program_pass);
      ++stats_.xdp_pass;
      return XdpAction::pass;
    case XdpHook::Kind::drop:
      core.charge(Step::xdp_call);
      core.charge(Step::xdp_program_drop);
      return XdpAction::drop;
    case XdpHook::Kind::tx:
      core.charge(Step::xdp_call);
      touch(core, packet);
      core.charge(Step::xdp_program_tx);
      return XdpAction::tx;
    case XdpHook::Kind::redirect:
      core.charge(Step::xdp_call);
      if (hook_.cpus == nullptr || hook_.cpus->reads_packet()) touch(core, packet);
      core.charge(Step::xdp_program_redirect);
      return XdpAction::redirect;
    case XdpHook::Kind::xsk:
      core.charge(Step::xdp_call);
      core.charge(Step::xdp_program_redirect);
      if (xsk_ != nullptr) return XdpAction::redirect;
      ++stats_.xdp_pass;
      return XdpAction::pass;
    case XdpHook::Kind::program:
      break;
  }
  throw BugError("rx_queue: a policy is run by program_run");
}

/// First read of packet data: from the LLC, where DMA left it, or from memory.
void RxQueue::touch(Core& core, const Packet& packet) {
  core.charge(Step::packet_touch);
  // The cache as it stood when the step began: what came later may not be known yet.
  read_miss_ = port_.read_miss(packet, step_start_, params_.index);
  core.charge(Step::llc_read_miss, Llc::charge(core.price(Step::llc_read_miss), read_miss_));
}

/// Sending a frame on touches a second line of its buffer, as cold as the one that the program read.
void RxQueue::touch_frame(Core& core) {
  port_.read_second_line(read_miss_);
  core.charge(Step::llc_miss, Llc::charge(core.price(Step::llc_miss), read_miss_));
}

/// The program aborted, or the driver could not do what it said.
void RxQueue::not_sent(Core& core, const Packet& packet, std::uint32_t slot, XdpAction action) {
  Fate fate = Fate::xdp_aborted;
  if (action == XdpAction::tx) {
    fate = Fate::xdp_tx_full;
    ++stats_.xdp_tx_full;
  } else if (action == XdpAction::redirect) {
    fate = Fate::xdp_redirect_err;
    redirect_.refused();
  } else {
    ++stats_.xdp_aborted;
  }
  if (action != XdpAction::redirect) ++stats_.xdp_exception;
  env_.journal->ended(packet, fate, core.now());
  buffers_->drop(core, ring_, slot);
}

/// XD-10, XD-11: one descriptor; the page is away until the completion. False: the ring is full.
bool RxQueue::transmit(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict) {
  if (hook_.egress != nullptr && hook_.kind == XdpHook::Kind::program) {
    const EgressHook::Verdict egress =
        redirect_.ask_egress(core, packet, *xdp_tx_, {0, params_.index, xdp_tx_->fill(), xdp_tx_->size()});
    if (egress.action != XdpAction::pass) {
      leave_elsewhere(core, packet, slot, verdict, egress);
      return true;
    }
  }
  if (xdp_tx_->full()) return false;
  core.charge(Step::tx_descriptor);
  xdp_tx_->post(frame_of(core, packet, slot, verdict));
  ++stats_.xdp_tx;
  return true;
}

/// XD-71: the egress program sends the packet to another device, or drops it.
void RxQueue::leave_elsewhere(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict,
                              const EgressHook::Verdict& egress) {
  if (egress.action == XdpAction::redirect && egress.target.device != nullptr) {
    redirect_.sent_elsewhere();
    core.charge(Step::xdp_redirect);
    XdpFrame frame = frame_of(core, packet, slot, verdict);
    frame.met_egress = true;
    redirect_.accepted();
    redirect_.enqueue({egress.target.device, nullptr}, frame);
    return;
  }
  redirect_.dropped_by_egress();
  ++stats_.xdp_tx_egress;
  env_.journal->ended(packet, Fate::xdp_egress_drop, core.now());
  buffers_->drop(core, ring_, slot);
}

}  // namespace rxpool
