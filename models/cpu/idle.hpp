#pragma once
// Idle states of one CPU (SC-60 to SC-67): intel_idle's tables as data, the menu governor's choice by the next timer
// and the recent idle intervals, cpuidle's counters, and the exit latency that a wake-up pays. Kernel source:
// drivers/idle/intel_idle.c, drivers/cpuidle/governors/menu.c and cpuidle.c of 6.12. Leaves out entry latency, package
// states, auto-demotion, energy, the time limit of POLL, and interrupts that arrive before a state is reached: every
// wake-up pays the full latency.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/time.hpp"

namespace rxpool {

struct IdleState {
  const char* name;
  std::int64_t exit_latency_ns;
  std::int64_t target_residency_ns;
};

/// The states of a table: hsw, skx, icx, spr, or poll (`idle=poll`). Throws InputError for another name.
std::span<const IdleState> idle_states_of(const std::string& table);

struct IdleParams {
  std::string states = "icx";
  std::span<const IdleState> table;  ///< states of one's own in place of a named table; must outlive the user
  std::string deepest;               ///< name of the deepest state used, as by intel_idle.max_cstate; empty = all
  std::optional<std::int64_t> latency_limit_us;  ///< /dev/cpu_dma_latency, 0 or more; default no limit
  int hz = 1000;                                 ///< CONFIG_HZ
};

/// Per state, by the names under /sys/devices/system/cpu/cpu*/cpuidle/state*/ .
struct IdleCounters {
  std::uint64_t usage = 0;
  Time time;                ///< from entry to the end of the exit latency, as cpuidle measures it
  std::uint64_t above = 0;  ///< woken before the target residency although a shallower state existed
  std::uint64_t below = 0;  ///< slept long enough for the next deeper state
};

class IdleStates {
 public:
  /// Throws InputError for parameters out of range.
  explicit IdleStates(const IdleParams& params);

  /// The CPU goes idle. `next_timer` is the next event that the kernel knows of on this CPU, the tick not counted
  /// (never if none); interrupts of devices are not known to it. Returns true if the governor would stop the tick
  /// (SC-64).
  bool enter(Time now, Time next_timer);
  /// An interrupt wakes the CPU: the exit latency to pay before it is served. `by_tick`: a tick that was not stopped.
  Time leave(Time now, bool by_tick = false);

  const IdleState& state() const { return states_[entered_]; }  ///< entered last
  std::size_t entered() const { return entered_; }              ///< its index
  std::span<const IdleState> states() const { return states_; }
  const IdleCounters& counters(std::size_t state) const { return counters_[state]; }

 private:
  static constexpr std::size_t interval_count = 8;
  static constexpr std::size_t bucket_count = 6;

  std::optional<std::int64_t> typical_interval_us() const;
  /// Sets entered_; returns the prediction that the choice rests on.
  std::int64_t choose(std::int64_t predicted_ns);
  void learn(std::int64_t residency_ns, bool by_tick);

  std::span<const IdleState> states_;
  std::int64_t tick_ns_;
  std::int64_t latency_limit_ns_;
  std::vector<IdleCounters> counters_;
  std::size_t entered_ = 0;
  Time entered_at_;
  std::int64_t next_timer_ns_ = 0;
  std::size_t bucket_ = 0;
  std::array<std::int64_t, bucket_count> correction_{};      ///< 8192 = the next timer is right
  std::array<std::int64_t, interval_count> intervals_us_{};  ///< idle times, oldest at next_interval_
  std::size_t next_interval_ = 0;
};

}  // namespace rxpool
