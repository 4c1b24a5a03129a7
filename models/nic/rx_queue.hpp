#pragma once
// The driver's side of one RX queue: interrupt line, NAPI poll, XDP hook, skb building, refill.
//
//     interrupt -> napi_schedule -> poll: TX completions -> packets (XDP, skb, GRO list) -> XDP flush -> list to the
//                                         stack -> refill -> complete or repoll
//
// One packet is one step; where nothing but drops happens and nobody can interfere, a run of packets is worked off in
// one go with the same result. Rules: NA-1, NA-20 to NA-25, NA-50, DR-10 to DR-22, SK-1 to SK-5, SK-13, XD-10 to XD-12,
// XD-41, XD-60 to XD-64. A queue can be taken down and brought up again while the host runs (NA-26, DR-40).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/cpu/napi.hpp"
#include "models/journal.hpp"
#include "models/nic/moderation.hpp"
#include "models/nic/napi_thread.hpp"
#include "models/nic/port.hpp"
#include "models/nic/rx_buffers.hpp"
#include "models/nic/rx_ring.hpp"
#include "models/nic/tx_queue.hpp"
#include "models/nic/umem_buffers.hpp"
#include "models/stack/normal_list.hpp"
#include "models/stack/stack.hpp"
#include "models/xdp/program.hpp"
#include "models/xdp/redirect.hpp"
#include "sim/gauge.hpp"
#include "sim/histogram.hpp"

namespace rxpool {

struct RxQueueParams {
  std::string name;         ///< component path, e.g. nics.nic0.rx_queues.rx0
  std::uint32_t index = 0;  ///< queue number on its NIC
  std::uint32_t ring_size = 0;
  Coalescing coalescing;
  bool adaptive_rx = false;
  bool cqe_mode = false;
  bool gro = true;
  bool busy_poll = false;  ///< by its NAPI thread (NA-47)
  std::uint32_t gro_normal_batch = 8;
  std::uint32_t napi_defer_hard_irqs = 0;
  Time gro_flush_timeout;
  Time irq_suspend_timeout;
  bool record_latency = true;
};

struct RxQueueStats {
  std::uint64_t rx_packets = 0;  ///< packets the driver has seen
  std::uint64_t rx_bytes = 0;
  std::uint64_t xdp_drop = 0;
  std::uint64_t xdp_pass = 0;
  std::uint64_t xdp_aborted = 0;
  std::uint64_t xdp_tx = 0;         ///< verdict XDP_TX and a descriptor found
  std::uint64_t xdp_tx_full = 0;    ///< verdict XDP_TX, ring full
  std::uint64_t xdp_tx_egress = 0;  ///< verdict XDP_TX, dropped by the egress program
  std::uint64_t xdp_exception = 0;  ///< tracepoint xdp:xdp_exception: aborted, or not sent
  std::uint64_t interrupts = 0;
  std::uint64_t polls = 0;
  std::uint64_t full_polls = 0;  ///< of these, used up their budget
  std::uint64_t skb_alloc_fail = 0;
  std::uint64_t program_runs = 0;  ///< packets that reached the XDP hook, or the driver's receive loop without one
};

/// What all queues of a host share.
struct RxEnvironment {
  Stack* stack = nullptr;
  SkbSlab* slab = nullptr;
  Journal* journal = nullptr;
};

class RxQueue final : public Napi, private TxOwner, private Xsk::Driver {
 public:
  RxQueue(RxQueueParams params, Port& port, RxEnvironment environment, const NetfilterParams& netfilter,
          const XdpHook& hook);

  /// Gives the ring its memory model and fills it; false: not enough memory.
  bool power_on(std::unique_ptr<RxBuffers> buffers, MemoryContext& context);
  /// Routes the interrupt to `core` (smp_affinity); may change at run time, takes effect at the next interrupt.
  void set_affinity(Core& core);

  /// napi_disable(): nothing schedules the NAPI any more, and a poll is not repeated (NA-26).
  void disable() { disabled_ = true; }
  /// Of a disabled queue whose poll is over: takes its ring down at `context.now`, at which everybody stands still.
  /// What is in it is lost (DR-40). The pages that skbs hold come home to the buffers that it returns.
  std::unique_ptr<RxBuffers> take_down(MemoryContext& context);
  /// A new ring, filled as far as memory goes, and the NAPI enabled.
  void bring_up(std::unique_ptr<RxBuffers> buffers, std::uint32_t ring_size, MemoryContext& context);
  /// Its interrupt stays masked and nobody schedules its NAPI: a poll-mode driver on `core` has the ring (PM-1).
  void give_to_user_space(Core& core);

  /// Threaded NAPI on `core` (NA-40); before time starts.
  void make_threaded(Core& core);
  /// The queue that takes XDP_TX; its completions are handled by this NAPI.
  void set_xdp_tx(TxQueue& queue) { xdp_tx_ = &queue; }
  /// The queue of this channel that takes redirected frames: this NAPI handles its completions.
  void set_xmit(TxQueue& queue) {
    xmit_ = &queue;
    queue.set_owner(*this);
  }
  /// The AF_XDP socket bound to this queue; `buffers` are its own with zero-copy, null otherwise.
  void set_xsk(Xsk& xsk, UmemBuffers* buffers) {
    xsk_ = &xsk;
    umem_ = buffers;
    xsk.set_driver(*this);
  }
  const XdpRedirect& redirect() const { return redirect_; }
  /// Brings the gauges up to `now`.
  void observe(Time now);
  /// Books the frames that have left by `now`, at which no step has begun yet.
  void observe_sent(Time now);
  /// skbs on their way to the stack.
  std::span<const SkbId> undelivered() const { return normal_list_.undelivered(); }

  Poll poll(Core& core) override;
  std::uint32_t packets() const override { return handled_; }
  bool defer_interrupts(Core& core) override;
  void suspend_interrupts(Core& core) override;
  void resume_interrupts(Core& core) override;

  const std::string& name() const { return params_.name; }
  RxRing& ring() { return ring_; }
  RxBuffers& buffers() { return *buffers_; }
  Core& irq_core() { return *line_.core; }
  /// Whose CPU polls it: that of its NAPI thread, or the interrupt's.
  const Core& poll_core() const { return thread_ != nullptr ? *thread_->home : *line_.core; }
  const RxQueueStats& stats() const { return stats_; }
  Moderation& moderation() { return moderation_; }
  Histogram& latency() { return latency_; }
  Gauge& held() { return held_; }
  Gauge& inflight() { return inflight_; }
  BreakerGate& gate() { return gate_; }

 private:
  enum class Phase : std::uint8_t { begin, reap, packets, flush, deliver, refill, complete };

  /// The queue's MSI-X vector.
  class Line final : public InterruptSource {
   public:
    explicit Line(RxQueue& queue) : InterruptSource(true), queue_(queue) {}
    bool interrupt(Core& core) override;
    void unmask(Core& core, Time at);
    void mask() { masked_ = true; }
    /// Computes when the interrupt fires, as far as it is known.
    void update();
    /// Armed anew at `at`: the vector of a queue that was taken down.
    void enable(Time at);
    /// The NIC interrupts for an application that wants to be served, at `at` or as soon as it is unmasked.
    void trigger(Time at) { triggered_ = std::min(triggered_, at); }
    /// A poll begins at `now`: what was asked for until then is served.
    void served(Time now) {
      if (triggered_ <= now) triggered_ = Time::never();
    }
    Core* core = nullptr;

   private:
    RxQueue& queue_;
    Time armed_{0};
    Time rx_at_ = Time::never();
    Time triggered_ = Time::never();
    bool masked_ = false;
    bool exact_ = true;  ///< otherwise at_ is only the earliest instant possible
  };
  /// napi->timer: polls again after gro_flush_timeout, on the CPU that polled (NA-24: a pinned hrtimer).
  class Watchdog final : public InterruptSource {
   public:
    explicit Watchdog(RxQueue& queue) : InterruptSource(false), queue_(queue) {}
    bool interrupt(Core& core) override;
    void start(Core& core, Time at) {
      at_ = at;
      if (core_ == &core) {
        core.interrupts_changed();
        return;
      }
      if (core_ != nullptr) core_->detach(*this);
      core_ = &core;
      core.attach(*this);
    }
    void cancel() {
      at_ = Time::never();
      if (core_ != nullptr) core_->interrupt_line_moved();
    }

   private:
    RxQueue& queue_;
    Core* core_ = nullptr;
  };

  class ProgramRun;
  struct Course;
  enum class Look : std::uint8_t { none, packet, waiting };
  Look look(Core& core);
  bool run_packets(Core& core);
  bool may_handle(Core& core);
  std::uint32_t drop_run(Core& core);
  bool keeps_alike() const;
  std::uint32_t keep_run(Core& core);
  std::uint32_t program_run(Core& core);
  std::uint32_t one_packet(Core& core);
  XdpAction built_in(Core& core, const Packet& packet);
  void obey(Core& core, const Packet& packet, const XdpVerdict& verdict);
  XdpFrame frame_of(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict);
  void touch(Core& core, const Packet& packet);
  void touch_frame(Core& core);
  void refuse(Core& core, const Packet& packet, std::uint32_t slot);
  void completion_planned(Core& by) override { line_changed(by); }
  void wake_up(Core& by) override;
  void line_changed(Core& by);
  void not_sent(Core& core, const Packet& packet, std::uint32_t slot, XdpAction action);
  bool redirect_packet(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict);
  void redirect_to_cpu(Core& core, const Packet& packet, std::uint32_t slot, CpumapEntry* entry,
                       const XdpVerdict& verdict);
  bool redirect_to_xsk(Core& core, const Packet& packet, std::uint32_t slot, Xsk* xsk, const XdpVerdict& verdict);
  bool copy_to_xsk(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict);
  bool transmit(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict);
  void leave_elsewhere(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict,
                       const EgressHook::Verdict& egress);
  bool build_skb(Core& core, const Packet& packet, std::uint32_t slot);
  SkbId keep(Core& core, const Packet& packet, PageId page, Time visible);
  bool deliver(Core& core) { return normal_list_.deliver(core, *env_.stack, netfilter_); }
  void no_memory(Core& core, const Packet& packet);
  bool finish(Core& core);
  /// A sampled packet of a traced run: from the wire to the driver, and with `returned` to the end of its page.
  void trace_packet(Core& core, const Packet& packet, Time polled, Time returned);

  RxQueueParams params_;
  Port& port_;
  RxEnvironment env_;
  const NetfilterParams& netfilter_;
  const XdpHook& hook_;
  RxRing ring_;
  std::unique_ptr<RxBuffers> buffers_;
  TxQueue* xdp_tx_ = nullptr;
  TxQueue* xmit_ = nullptr;
  Xsk* xsk_ = nullptr;
  UmemBuffers* umem_ = nullptr;
  XdpRedirect redirect_;
  Moderation moderation_;
  Line line_;
  Watchdog watchdog_;
  Phase phase_ = Phase::begin;
  std::uint32_t handled_ = 0;  ///< packets of this poll
  Time step_start_{0};         ///< of the packet at hand
  Probability read_miss_ = 0;  ///< of its first read
  Time poll_start_{0};
  bool busy_ = false;  ///< driver wants to be polled again (refill failed)
  bool disabled_ = false;
  std::uint32_t defer_irqs_left_ = 0;
  NormalList normal_list_;  ///< napi->rx_list
  RxQueueStats stats_;
  Histogram latency_;
  Gauge held_;
  Gauge inflight_;
  BreakerGate gate_;
  std::unique_ptr<NapiThread> thread_;
};

}  // namespace rxpool
