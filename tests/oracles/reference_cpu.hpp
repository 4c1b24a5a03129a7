#pragma once
// One CPU of the reference engine: interrupts before softirq before threads before idle (NA-1 to NA-32). A step reads
// the state of the host at its start and costs time; each step is one event. Interrupts are taken between two steps.

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "models/calibration/calibration.hpp"
#include "models/cpu/idle.hpp"
#include "models/cpu/run_queue.hpp"
#include "models/cpu/step.hpp"
#include "models/memory/context.hpp"
#include "tests/oracles/reference_time.hpp"

namespace rxpool::reference {

class Cpu;

/// Interrupts one CPU at an instant.
class Interrupt {
 public:
  explicit Interrupt(bool is_device) : device(is_device) {}
  virtual ~Interrupt() = default;
  virtual void take(Cpu& cpu) = 0;
  Time at = Time::never();
  const bool device;
};

/// What softirq or a NAPI thread polls.
class Napi {
 public:
  virtual ~Napi() = default;
  virtual Job poll(Cpu& cpu) = 0;
  // For a reader that polls it: the timer instead of the interrupt.
  virtual bool defer_interrupts(Cpu&) { return false; }
  virtual void suspend_interrupts(Cpu&) {}
  virtual void resume_interrupts(Cpu&) {}
  std::uint32_t work = 0;  ///< of the last poll; 64: poll again
  bool scheduled = false;
  bool missed = false;
  bool in_busy_poll = false;  ///< by a reader
  std::uint32_t budget = 64;  ///< of the next poll
  std::uint32_t packets = 0;  ///< of the last one
  std::int32_t list_owner = -1;
  class Process* thread = nullptr;
};

class Process : public Thread {
 public:
  explicit Process(Context c) : context(c) {}
  virtual ~Process() = default;
  /// One unit that the scheduler does not interrupt.
  virtual Job unit(Cpu& cpu) = 0;
  const Context context;
  bool sleeps = false;  ///< set by unit(): nothing to do until woken
  Cpu* home = nullptr;
};

/// skbs that other CPUs left here to be freed.
class DeferredFrees {
 public:
  virtual ~DeferredFrees() = default;
  virtual Job flush(Cpu& cpu) = 0;
};

struct CpuSettings {
  std::string name;
  std::uint32_t component = 0;  ///< rank of its name
  std::uint16_t number = 0;
  std::uint8_t node = 0;
  std::uint32_t budget = 300;
  std::uint32_t budget_usecs = 2000;
  std::uint32_t hz = 1000;
  SchedulerParams scheduler;
  IdleParams idle;
};

class Cpu {
 public:
  Cpu(CpuSettings settings, const Calibration& prices, EventQueue& events);
  void power_on();

  Time clock{0};
  Time busy{0};  ///< not idle
  std::uint16_t number() const { return settings_.number; }
  const std::string& name() const { return settings_.name; }
  std::uint8_t node() const { return settings_.node; }
  /// Ends when every interrupt that is due has been taken and it is this CPU's turn.
  Job step(EventClass event_class);

  void charge(Time cost);
  /// The first packet after a sleep costs more.
  void warm_up(Time packet);
  void charge(Step step, std::int64_t times = 1) { charge(prices_.cost(step) * times); }
  Time price(Step step) const { return prices_.cost(step); }
  std::int64_t price_per_byte(Step step) const { return prices_.ps_per_byte(step); }
  MemoryContext context_now(bool in_softirq) const;

  // Interrupts.
  void attach(Interrupt& source);
  void detach(Interrupt& source);
  /// The instant of one of its sources changed.
  void source_changed();
  void enter_hardirq(Step entry);
  void leave_hardirq();

  // Softirq.
  void schedule(Napi& napi);
  DeferredFrees* deferred = nullptr;
  bool bottom_halves_disabled = false;  ///< by a NAPI thread during its unit

  // Threads.
  bool would_switch() const { return run_queue_.should_schedule(SchedulePoint::user_return); }
  void add(Process& process);
  /// From this CPU; a thread of another one gets an inter-processor interrupt.
  void wake(Process& process);
  void wake_from_elsewhere(Process& process, Time at) { send({at, &process}); }
  void raise_net_rx_from_elsewhere(Time at) { send({at, nullptr}); }

 private:
  struct Letter {
    Time at;
    Process* wakes;  ///< null: raises NET_RX
  };
  struct Mailbox final : Interrupt {
    Mailbox() : Interrupt(true) {}
    void take(Cpu& cpu) override;
    std::vector<Letter> letters;
  };
  struct Tick final : Interrupt {
    Tick() : Interrupt(false) {}
    void take(Cpu& cpu) override;
  };
  struct Ksoftirqd final : Process {
    Ksoftirqd() : Process(Context::ksoftirqd) {}
    Job unit(Cpu& cpu) override;
  };
  /// Suspends until everything that comes before (clock, class, this CPU) has happened.
  struct Turn {
    Cpu& cpu;
    EventClass event_class;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> job) {
      cpu.events_.at(cpu.clock, event_class, cpu.settings_.component, [job] { job.resume(); });
    }
    void await_resume() const {}
  };
  /// Suspends until an interrupt is due.
  struct Sleep {
    Cpu& cpu;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> job) {
      cpu.sleeping_ = job;
      cpu.source_changed();
    }
    void await_resume() const {}
  };

  Job live();
  Job interrupts();
  Job softirq(bool by_ksoftirqd);
  Job net_rx_action();
  void finish_pass();
  Interrupt* next_interrupt() const;
  Interrupt* due() const;
  void send(Letter letter);
  void start_tick();
  void enter_idle();
  void switch_thread();
  std::int64_t jiffies(Time at) const { return at / (seconds(1) / settings_.hz); }
  std::int64_t in_jiffies(Time span) const;

  CpuSettings settings_;
  const Calibration& prices_;
  EventQueue& events_;
  RunQueue run_queue_;
  IdleStates idle_states_;
  std::vector<Interrupt*> sources_;
  Mailbox mailbox_;
  Tick tick_;
  Ksoftirqd ksoftirqd_;
  Context context_ = Context::softirq;
  Process* current_ = nullptr;
  bool idle_ = false;
  bool cold_ = false;
  std::coroutine_handle<> sleeping_;
  bool wake_up_planned_ = false;
  EventQueue::Key wake_up_;

  std::deque<Napi*> poll_list_;
  std::deque<Napi*> list_;
  std::deque<Napi*> repoll_;
  bool net_rx_raised_ = false;
  bool in_softirq_ = false;
  bool softirq_by_ksoftirqd_ = false;
  bool in_net_rx_action_ = false;
  Job life_;
};

}  // namespace rxpool::reference
