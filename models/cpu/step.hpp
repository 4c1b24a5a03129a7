#pragma once
// What CPU time is charged for: the priced steps of a calibration file (models/calibration/calibration.hpp) and work
// that has no fixed price, because it is charged as executed. Their sum over a run is the per-step profile.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "models/calibration/calibration.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// Profile entries after the calibrated steps.
enum class Work : std::uint8_t {
  page_memory,  ///< page_pool, per-CPU lists, zones: MemoryPrices
  xdp_program,  ///< executed instructions and helpers of an eBPF policy
  application,  ///< what the reader does with a message
  idle_exit,    ///< wake-up from an idle state
  cold_caches,  ///< what the first packet after a sleep costs more
  control,      ///< looks of the control loop at the queues
};
inline constexpr std::array<std::string_view, 6> work_names = {"page_memory", "xdp_program", "application",
                                                               "idle_exit",   "cold_caches", "control"};
inline constexpr std::size_t profile_entries = step_count + work_names.size();

/// Who the CPU worked for; busy time is reported by these.
enum class Context : std::uint8_t { hardirq, softirq, ksoftirqd, kthread, application };
inline constexpr std::array<std::string_view, 5> context_names = {"hardirq", "softirq", "ksoftirqd", "kthread",
                                                                  "application"};

}  // namespace rxpool
