#pragma once
// One CPU:   interrupts  >  softirq  >  threads (RunQueue)  >  idle
//
// A core has one event and a clock of its own. It works step by step: a step reads the state at its start, its price
// moves the clock, its results are visible from its end. Hard interrupts are taken between two steps. As long as nobody
// else can interfere the clock runs ahead of the engine's time; then the core re-arms itself at its clock and waits.
// Rules: NA-1 to NA-32, SC-n. Leaves out: hyper-threads, frequency changes, interrupt time in thread accounting.

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "models/cpu/idle.hpp"
#include "models/cpu/run_queue.hpp"
#include "models/cpu/softirq.hpp"
#include "models/cpu/step.hpp"
#include "models/cpu/task.hpp"
#include "models/cpu/timer.hpp"
#include "models/memory/context.hpp"
#include "sim/engine.hpp"
#include "sim/trace.hpp"

namespace rxpool {

struct CoreParams {
  std::string name;                ///< component path, e.g. cpus.cpu0
  std::uint16_t cpu = 0;           ///< number
  std::uint8_t node = 0;           ///< NUMA node
  std::uint32_t component_id = 0;  ///< ksoftirqd's, for ties
  SoftirqParams softirq;
  SchedulerParams scheduler;
  IdleParams idle;
};

struct CoreStats {
  std::array<std::uint64_t, context_names.size()> busy_ps{};
  std::array<std::array<std::uint64_t, context_names.size()>, profile_entries> profile_ps{};  ///< by step, context
  std::vector<std::uint64_t> idle_ps;  ///< by idle state, exit latency included
  std::uint64_t interrupts = 0;        ///< devices and hrtimers
  std::uint64_t ipis = 0;
  std::uint64_t ticks = 0;
  std::uint64_t context_switches = 0;
};

class Core {
 public:
  Core(CoreParams params, const Calibration& prices, Engine& engine);
  Core(const Core&) = delete;

  const std::string& name() const { return params_.name; }
  std::uint16_t cpu() const { return params_.cpu; }
  Event& event() { return event_; }
  Engine& engine() { return engine_; }
  static void fire(void* core, Time now) { static_cast<Core*>(core)->run(now); }

  /// From a CPU's write to the interrupt at another one, or to a device and back: general knowledge, 0.5 to 1 us; what
  /// the receiver spends on it is Step::ipi.
  static constexpr Time remote_latency = nanoseconds(500);

  // ---- The clock.
  Time now() const { return clock_; }
  /// May a step that touches only this core's group begin now? If not, the core has re-armed itself.
  bool may_step(EventClass event_class) { return clock_ <= limit_ || may_step_in_turn(event_class); }
  /// The same for a step that sees what the threads of others do unnoticed.
  bool may_step_in_turn(EventClass event_class) {
    if (alone_ ? clock_ <= limit_ : engine_.may_run(event_, clock_, event_class)) return true;
    engine_.arm(event_, clock_, event_class);
    return false;
  }
  /// The same for a step that touches nothing but this core's own: others reach it only by interrupts, which take
  /// `remote_latency` to arrive, so it may begin that much earlier.
  bool may_step_ahead(EventClass event_class) {
    if (clock_ <= limit_) return true;
    if (!alone_ && engine_.may_run_ahead(event_, clock_, event_class, remote_latency)) return true;
    engine_.arm(event_, clock_, event_class);
    return false;
  }
  /// The same for a step that touches what all groups share (a zone).
  bool may_touch_shared(EventClass event_class) {
    if (engine_.is_earliest(event_, clock_, event_class)) return true;
    engine_.arm(event_, clock_, event_class);
    return false;
  }
  /// Re-arms at the clock: something that others decide has to happen first.
  void wait(EventClass event_class) { engine_.arm(event_, clock_, event_class); }
  /// Until when (inclusive) steps may begin without asking may_step(); before now() when every step must ask.
  Time private_limit() const { return limit_; }
  /// The same for steps that ask may_step_ahead(): in a group they need not come one by one.
  Time ahead_limit() const { return alone_ ? limit_ : std::max(limit_, engine_.ahead_limit(remote_latency)); }
  bool interrupt_due() const { return next_interrupt_ <= clock_; }
  Time next_interrupt() const { return next_interrupt_; }

  void charge(Step step, std::int64_t times = 1) { charge(static_cast<std::size_t>(step), prices_.cost(step) * times); }
  /// Several steps between which nobody looks at the clock.
  template <typename... Steps>
  void charge_together(Steps... steps) {
    advance((prices_.cost(steps) + ...));
    (attribute(steps, 1), ...);
  }
  void charge(Step step, Time cost) { charge(static_cast<std::size_t>(step), cost); }
  void charge(Work work, Time cost) { charge(step_count + static_cast<std::size_t>(work), cost); }
  void charge_bytes(Step step, std::int64_t bytes) {
    charge(static_cast<std::size_t>(step), prices_.cost(step) + Time{prices_.ps_per_byte(step) * bytes});
  }
  Time price(Step step) const { return prices_.cost(step); }
  /// For packets priced together: advance() moves the clock, attribute() says what for.
  void advance(Time total) { clock_ += total; }
  void attribute(Step step, std::int64_t times) {
    profile(static_cast<std::size_t>(step)) += static_cast<std::uint64_t>((prices_.cost(step) * times).ps);
  }
  void attribute(Step step, Time cost) {
    profile(static_cast<std::size_t>(step)) += static_cast<std::uint64_t>(cost.ps);
  }
  void attribute(Work work, Time cost) {
    profile(step_count + static_cast<std::size_t>(work)) += static_cast<std::uint64_t>(cost.ps);
  }

  /// Context of a memory operation that begins now; charge_memory() afterwards.
  MemoryContext& memory(bool in_softirq) {
    memory_.now = clock_;
    memory_.in_softirq = in_softirq;
    memory_.cost = Time{0};
    return memory_;
  }
  void charge_memory() { charge(Work::page_memory, memory_.cost); }

  /// The first poll after a sleep has handled packets at this price each: the first of them found cold caches.
  void warm_up(Time packet) {
    if (!cold_) return;
    cold_ = false;
    charge(Work::cold_caches, Time{packet.ps * prices_.idle.cold_permille / 1000});
  }

  // ---- Interrupts.
  void attach(InterruptSource& source);
  void detach(InterruptSource& source);
  /// A source's instant changed.
  void interrupts_changed();
  /// The same, said by another core: an idle core has to be woken for it.
  void interrupt_line_moved() {
    interrupts_changed();
    if (idle_) wait_for_interrupt();
    for (Core* other : others_) other->limit_ = std::min(other->limit_, next_interrupt_ - picoseconds(1));
  }
  /// Around what an interrupt handler does.
  void enter_hardirq(Step entry);
  void leave_hardirq();

  // ---- NAPI and softirq.
  /// NA-2, from an interrupt or softirq of this core.
  void napi_schedule(Napi& napi);
  Softirq& softirq() { return softirq_; }
  const Softirq& softirq() const { return softirq_; }
  void wake_ksoftirqd();
  /// local_bh_disable, by the thread that is running: until the end of its unit interrupts start no softirq (NA-3).
  void disable_bottom_halves() { bottom_halves_disabled_ = true; }

  // ---- Threads.
  void add_thread(Task& task);
  /// Wakes a thread from this core; one of another core gets an inter-processor interrupt.
  void wake(Task& task);
  /// Wakes a thread of this core, or raises its NET_RX softirq, from another core that sent it at `at`.
  void wake_remotely(Task& task, Time at);
  void raise_net_rx_remotely(Time at);
  bool need_resched() const { return run_queue_.need_resched(); }
  /// Would a thread on its way to user space lose the CPU now?
  bool would_switch() const { return run_queue_.should_schedule(SchedulePoint::user_return); }
  Task* current() const { return current_; }

  const CoreStats& stats() const { return stats_; }
  /// Records context changes from now on; null for none.
  void set_trace(Trace* trace) { trace_ = trace; }
  const IdleStates& idle_states() const { return idle_states_; }
  /// Time not idle, in all contexts.
  Time busy() const {
    return clock_ - booked_ +
           Time{static_cast<std::int64_t>(
               std::accumulate(stats_.busy_ps.begin(), stats_.busy_ps.end(), std::uint64_t{0}))};
  }
  /// Brings busy and idle times up to `now`.
  void observe(Time now) {
    book();
    observe_idle(now);
  }
  /// The other cores of its group.
  void set_others(std::vector<Core*> others) { others_ = std::move(others); }
  /// Arms the core for its first work; called once after the engine is sealed.
  void power_on();

 private:
  class Tick final : public InterruptSource {
   public:
    explicit Tick(Time period) : InterruptSource(false), period_(period) {}
    bool interrupt(Core& core) override;
    void start(Time now) { at_ = Time{(now / period_ + 1) * period_.ps}; }
    void stop() { at_ = Time::never(); }

   private:
    Time period_;
  };
  /// What other cores sent: wake-ups and softirqs, as inter-processor interrupts.
  class Mailbox final : public InterruptSource {
   public:
    Mailbox() : InterruptSource(true) { letters_.reserve(64); }
    bool interrupt(Core& core) override;
    void add(Time at, Task* task);

   private:
    struct Letter {
      Time at;
      Task* task;  // null: raise NET_RX
    };
    std::vector<Letter> letters_;
  };
  class Ksoftirqd final : public Task {
   public:
    Ksoftirqd() : Task(Context::ksoftirqd) {}
    Outcome step(Core& core) override;
  };

  void charge(std::size_t entry, Time cost) {
    advance(cost);
    profile(entry) += static_cast<std::uint64_t>(cost.ps);
  }
  std::uint64_t& profile(std::size_t entry) { return profile_[entry * context_names.size()]; }
  /// Busy time is booked when the context changes or somebody asks: most steps follow one of their own context.
  void book() {
    const Time ran = clock_ - booked_;
    booked_ = clock_;
    stats_.busy_ps[static_cast<std::size_t>(context_)] += static_cast<std::uint64_t>(ran.ps);
    // Softirq and hard interrupts on a thread's back are not its time (SC-3).
    if (context_ >= Context::ksoftirqd) run_queue_.update_current(ran);
  }
  /// The clock moves on without work.
  void skip_to(Time at) {
    book();
    clock_ = booked_ = at;
  }
  void observe_idle(Time now);
  Time limit() const;
  Time unnoticed_until() const;
  void run(Time now);
  bool run_task();
  void schedule();
  void enter_context(Context context) {
    if (trace_ != nullptr) [[unlikely]]
      trace_->context(params_.cpu, clock_, static_cast<std::uint8_t>(context));
    if (context == context_) return;
    book();
    context_ = context;
    profile_ = &stats_.profile_ps[0][static_cast<std::size_t>(context)];
  }
  void enter_idle();
  void leave_idle();
  void start_softirq();
  void wait_for_interrupt();

  CoreParams params_;
  const Calibration& prices_;
  Engine& engine_;
  Event event_;
  Softirq softirq_;
  RunQueue run_queue_;
  IdleStates idle_states_;
  Tick tick_;
  Mailbox mailbox_;
  Ksoftirqd ksoftirqd_;
  std::vector<InterruptSource*> sources_;
  std::vector<Core*> others_;
  MemoryContext memory_;

  Time clock_{0};
  Time booked_{0};  ///< up to here the busy time is in the statistics
  Time limit_{-1};  ///< until then nobody else does what its steps could notice, but may_step_in_turn()
  Time next_interrupt_ = Time::never();
  InterruptSource* next_source_ = nullptr;
  bool alone_ = false;
  bool idle_ = false;
  Time idle_since_{0};    ///< not yet in the statistics
  bool cold_ = false;     ///< has slept and not handled a packet since
  bool in_unit_ = false;  ///< the current thread stopped inside what the scheduler does not interrupt
  bool bottom_halves_disabled_ = false;
  Context context_ = Context::softirq;
  Task* current_ = nullptr;
  CoreStats stats_;
  std::uint64_t* profile_ = &stats_.profile_ps[0][static_cast<std::size_t>(Context::softirq)];  ///< of the context
  Trace* trace_ = nullptr;
};

}  // namespace rxpool
