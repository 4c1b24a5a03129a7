#include "models/cpu/scheduler_params.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include "sim/error.hpp"

namespace rxpool {
namespace {

// core.c: sched_prio_to_weight.
constexpr std::array<std::uint32_t, 40> weights_by_nice = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,  // -20 to -11
    9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,   // -10 to -1
    1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,    // 0 to 9
    110,   87,    70,    56,    45,    36,    29,    23,    18,    15};    // 10 to 19

// core.c: sched_prio_to_wmult, the kernel's own rounding of 2^32 / weight (neither always down nor always nearest).
constexpr std::array<std::uint32_t, 40> inverse_weights_by_nice = {
    48388,     59856,     76040,     92818,     118348,     // -20
    147320,    184698,    229616,    287308,    360437,     // -15
    449829,    563644,    704093,    875809,    1099582,    // -10
    1376151,   1717300,   2157191,   2708050,   3363326,    // -5
    4194304,   5237765,   6557202,   8165337,   10153587,   // 0
    12820798,  15790321,  19976592,  24970740,  31350126,   // 5
    39045157,  49367440,  61356676,  76695844,  95443717,   // 10
    119304647, 148102320, 186737708, 238609294, 286331153,  // 15
};

struct Release {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Release&) const = default;
};

Release parse_release(const std::string& text) {
  Release release;
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, release.major);
  if (major.ec == std::errc{} && major.ptr != end && *major.ptr == '.') {
    const auto minor = std::from_chars(major.ptr + 1, end, release.minor);
    if (minor.ec == std::errc{} && minor.ptr == end && release >= Release{4, 4} && release.major < 100) return release;
  }
  throw InputError("kernel.release: \"" + text + "\" is not a release from 4.4 on, such as \"6.18\"");
}

void check_range(const char* field, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw InputError(std::string(field) + ": " + std::to_string(value) + " is outside " + std::to_string(low) + " to " +
                     std::to_string(high));
  }
}

/// A tunable in ns: the user's value as it is, or the kernel's default times the scaling factor (SC-24, SC-40).
std::int64_t tunable(const char* field, std::optional<std::int64_t> given, std::int64_t low,
                     std::int64_t kernel_default, int factor) {
  if (!given) return kernel_default * factor;
  check_range(field, *given, low, 1'000'000'000);
  return *given;
}

}  // namespace

SchedulerRules scheduler_rules(const SchedulerParams& params) {
  const Release release = parse_release(params.release);
  check_range("cpus", params.cpus, 1, 8192);
  if (params.hz != 100 && params.hz != 250 && params.hz != 300 && params.hz != 1000) {
    throw InputError("kernel.hz: " + std::to_string(params.hz) + " is not one of 100, 250, 300, 1000");
  }

  SchedulerRules rules;
  rules.eevdf = release >= Release{6, 6};
  rules.custom_slice = rules.preempt_short = rules.delay_dequeue = rules.relative_deadline = release >= Release{6, 12};
  rules.protect_by_vruntime = release >= Release{6, 17};
  rules.yield_forfeits = release >= Release{6, 18};
  rules.lag_by_largest_slice = rules.delayed_lag_only_rises = rules.wakeup_always_shortens_protection =
      release >= Release{7, 0};

  rules.preempt =
      params.preempt.value_or(release >= Release{7, 0} ? PreemptionModel::lazy : PreemptionModel::voluntary);
  if (rules.preempt == PreemptionModel::lazy && release < Release{6, 13}) {
    throw InputError("kernel.preempt: \"lazy\" exists from release 6.13 on, not in " + params.release);
  }

  rules.tick_ns = (1'000'000'000 + params.hz / 2) / params.hz;
  // fair.c: get_update_sysctl_factor. One step per doubling, no more than 8 CPUs counted.
  const int factor = std::bit_width(static_cast<unsigned>(std::min(params.cpus, 8)));
  const std::int64_t base_slice_ns = release >= Release{6, 15} ? 700'000 : 750'000;
  rules.base_slice_ns = tunable("kernel.base_slice_ns", params.base_slice_ns, 100'000, base_slice_ns, factor);
  rules.latency_ns = tunable("kernel.latency_ns", params.latency_ns, 100'000, 6'000'000, factor);
  rules.min_granularity_ns = tunable("kernel.min_granularity_ns", params.min_granularity_ns, 100'000, 750'000, factor);
  rules.wakeup_granularity_ns =
      tunable("kernel.wakeup_granularity_ns", params.wakeup_granularity_ns, 0, 1'000'000, factor);
  return rules;
}

std::uint32_t nice_weight(int nice) {
  return weights_by_nice[static_cast<std::size_t>(nice + 20)];
}

std::uint32_t nice_inverse_weight(int nice) {
  return inverse_weights_by_nice[static_cast<std::size_t>(nice + 20)];
}

std::int64_t scale_by_weight(std::int64_t delta_ns, std::uint64_t weight, std::uint32_t inverse) {
  // fair.c: __calc_delta. The factor is cut to 32 bits and the lost places leave the final shift.
  std::uint64_t factor = weight * inverse;
  int shift = 32;
  while (factor >> 32 != 0) {
    factor >>= 1;
    --shift;
  }
  const auto delta = static_cast<std::uint64_t>(delta_ns);
  std::uint64_t product = ((delta & 0xffffffffU) * factor) >> shift;
  product += ((delta >> 32) * factor) << (32 - shift);
  return static_cast<std::int64_t>(product);
}

}  // namespace rxpool
