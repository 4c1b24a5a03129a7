// Loops, tail calls and spin locks.

#include <cerrno>
#include <cstring>

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/runtime.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint64_t max_loops = 1U << 23;  // BPF_MAX_LOOPS

// The number of iterations made; a callback that gives 1 ends the loop.
std::uint64_t loop(Runtime& runtime, std::uint64_t count, std::uint64_t callback, std::uint64_t context,
                   std::uint64_t flags, std::uint64_t) {
  const std::uint64_t iterations = static_cast<std::uint32_t>(count);
  if (flags != 0) {
    return failure(-EINVAL);
  }
  if (iterations > max_loops) {
    return static_cast<std::uint32_t>(-E2BIG);  // 32 bits: what the loop that the kernel inlines gives
  }
  for (std::uint64_t i = 0; i < iterations; ++i) {
    if (runtime.call_back(callback, i, context) != 0) {
      return i + 1;
    }
  }
  return iterations;
}

// Reached only through a register call: the engine does tail calls itself.
std::uint64_t tail_call(Runtime&, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  return failure(-EINVAL);
}

// One policy runs on one thread, so a lock is never contended; the word shows whether it is held.
void set_lock(Runtime& runtime, std::uint64_t pointer, std::uint32_t value) {
  std::memcpy(runtime.writable(pointer, 4).data(), &value, sizeof value);
}

std::uint64_t spin_lock(Runtime& runtime, std::uint64_t lock, std::uint64_t, std::uint64_t, std::uint64_t,
                        std::uint64_t) {
  set_lock(runtime, lock, 1);
  return 0;
}

std::uint64_t spin_unlock(Runtime& runtime, std::uint64_t lock, std::uint64_t, std::uint64_t, std::uint64_t,
                          std::uint64_t) {
  set_lock(runtime, lock, 0);
  return 0;
}

}  // namespace

void add_control_helpers(HelperTable& table) {
  using enum ArgKind;
  table.add(
      {.id = 12, .name = {}, .fn = tail_call, .args = {context, map, anything}, .intrinsic = Intrinsic::tail_call});
  table.add({.id = 93, .name = {}, .fn = spin_lock, .args = {map_element}, .returns = ReturnKind::nothing});
  table.add({.id = 94, .name = {}, .fn = spin_unlock, .args = {map_element}, .returns = ReturnKind::nothing});
  table.add({.id = 181, .name = {}, .fn = loop, .args = {anything, function, anything, anything}});
}

}  // namespace rxpool::bpf
