#pragma once
// What the scheduler of one kernel release does: the user's parameters, the rules that follow from the release
// (SC-20 to SC-47: which of them exist, with which constants) and the kernel's fixed-point arithmetic on weights
// (SC-2, SC-4). Kernel source: kernel/sched/fair.c, core.c, features.h. Leaves out group scheduling, SCHED_IDLE,
// SCHED_BATCH, SCHED_DEADLINE, SCHED_RR, bandwidth limits and HRTICK.

#include <cstdint>
#include <optional>
#include <string>

namespace rxpool {

/// kernel/Kconfig.preempt, `preempt=` on the kernel command line (SC-5, SC-6).
enum class PreemptionModel : std::uint8_t { none, voluntary, full, lazy };

struct SchedulerParams {
  std::string release = "6.18";                       ///< "major.minor"; 4.4 or later
  int hz = 1000;                                      ///< CONFIG_HZ: 100, 250, 300 or 1000
  int cpus = 1;                                       ///< online CPUs, for the scaling of the tunables (SC-24)
  std::optional<PreemptionModel> preempt;             ///< default: voluntary before 7.0, lazy from 7.0
  std::optional<std::int64_t> base_slice_ns;          ///< EEVDF; default by release, scaled; 100 µs to 1 s
  std::optional<std::int64_t> latency_ns;             ///< CFS sched_latency; same range
  std::optional<std::int64_t> min_granularity_ns;     ///< CFS sched_min_granularity; same range
  std::optional<std::int64_t> wakeup_granularity_ns;  ///< CFS sched_wakeup_granularity; 0 to 1 s
};

/// What a release and its parameters come down to; plain data for the run queue.
struct SchedulerRules {
  bool eevdf = true;                               ///< 6.6 on; CFS before
  bool custom_slice = true;                        ///< 6.12 on (SC-35)
  bool preempt_short = true;                       ///< 6.12 on (SC-30)
  bool delay_dequeue = true;                       ///< 6.12 on (SC-31)
  bool relative_deadline = true;                   ///< 6.12 on (SC-36)
  bool protect_by_vruntime = true;                 ///< 6.17 on: `vprot`; before, a copy of the deadline (SC-26)
  bool yield_forfeits = true;                      ///< 6.18 on (SC-33)
  bool lag_by_largest_slice = false;               ///< 7.0 on (SC-22)
  bool delayed_lag_only_rises = false;             ///< 7.0 on (SC-32)
  bool wakeup_always_shortens_protection = false;  ///< 7.0 on (SC-30)
  PreemptionModel preempt = PreemptionModel::voluntary;
  std::int64_t tick_ns = 1'000'000;
  std::int64_t base_slice_ns = 0;
  std::int64_t latency_ns = 0;
  std::int64_t min_granularity_ns = 0;
  std::int64_t wakeup_granularity_ns = 0;
};

/// Throws InputError naming the field, its value and the range.
SchedulerRules scheduler_rules(const SchedulerParams& params);

/// Weight of a nice level, -20 to 19; nice 0 is 1024 and each level is about 25 % (SC-2).
std::uint32_t nice_weight(int nice);
/// The kernel's 2^32 / weight for the same level, from its table.
std::uint32_t nice_inverse_weight(int nice);

inline constexpr std::uint32_t nice_0_weight = 1024;

/// delta × weight / other, where `inverse` is 2^32 / other: the kernel's truncating product (SC-4).
std::int64_t scale_by_weight(std::int64_t delta_ns, std::uint64_t weight, std::uint32_t inverse);

}  // namespace rxpool
