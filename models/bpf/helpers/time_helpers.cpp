// Clocks, random numbers and where the program runs. All clocks are the simulated one: boot and TAI time are the same
// count, the coarse clock and jiffies advance once per tick of 1 ms (HZ = 1000).

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/runtime.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint64_t tick_ns = 1'000'000;

std::uint64_t ktime_ns(Runtime& runtime, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  return runtime.now_ns();
}

std::uint64_t coarse_ns(Runtime& runtime, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  return runtime.now_ns() / tick_ns * tick_ns;
}

std::uint64_t jiffies(Runtime& runtime, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  return runtime.now_ns() / tick_ns;
}

std::uint64_t prandom(Runtime& runtime, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  return runtime.random == nullptr ? 0 : runtime.random->next_u32();
}

std::uint64_t cpu_id(Runtime& runtime, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  return runtime.cpu;
}

std::uint64_t numa_id(Runtime& runtime, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  return runtime.numa_node;
}

}  // namespace

void add_time_helpers(HelperTable& table) {
  table.add({.id = 5, .name = {}, .fn = ktime_ns, .intrinsic = Intrinsic::ktime_ns});
  table.add({.id = 7, .name = {}, .fn = prandom});
  table.add({.id = 8, .name = {}, .fn = cpu_id, .intrinsic = Intrinsic::cpu_id});
  table.add({.id = 42, .name = {}, .fn = numa_id, .intrinsic = Intrinsic::numa_node});
  table.add({.id = 118, .name = {}, .fn = jiffies});
  table.add({.id = 125, .name = {}, .fn = ktime_ns});
  table.add({.id = 160, .name = {}, .fn = coarse_ns});
  table.add({.id = 208, .name = {}, .fn = ktime_ns});
}

}  // namespace rxpool::bpf
