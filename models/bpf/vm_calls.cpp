// What running code calls in the host, shared by both engines, and callbacks from helpers back into the program.
#include <cstring>

#include "models/bpf/vm_state.hpp"

namespace rxpool::bpf {

namespace calls {

std::int64_t tail_call(Runtime& runtime, std::uint64_t, std::uint64_t map, std::uint64_t index) {
  const Map* const programs = runtime.map(map);
  if (programs == nullptr || programs->type() != MapType::prog_array ||
      runtime.execution.tail_calls >= max_tail_calls) {
    return -1;
  }
  // The kernel's tail call takes 32 bits of the index.
  const std::int64_t program = programs->program_at(static_cast<std::uint32_t>(index));
  if (program < 0 || static_cast<std::uint64_t>(program) >= runtime.programs.size()) {
    return -1;
  }
  runtime.execution.tail_calls += 1;
  return program;
}

std::uint64_t call_register(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t r3, std::uint64_t r4,
                            std::uint64_t r5) {
  const std::uint64_t target = runtime.execution.call_register;
  if ((target & function_tag) != 0) {
    return runtime.call_back(target, r1, r2, r3, r4, r5);
  }
  const Helper* helper = target <= UINT32_MAX ? runtime.vm->helpers.find(static_cast<std::uint32_t>(target)) : nullptr;
  if (helper == nullptr || helper->fn == nullptr) {
    runtime.abort(Abort::bad_function);
  }
  runtime.charge(helper->cost_ps);
  return helper->fn(runtime, r1, r2, r3, r4, r5);
}

std::uint64_t load_packet(Runtime& runtime, std::uint64_t context, std::uint64_t position, std::uint64_t bytes) {
  // struct xdp_md starts with data and data_end; so do the other contexts that have a packet.
  std::uint32_t bounds[2];
  std::memcpy(bounds, runtime.readable(context, sizeof bounds).data(), sizeof bounds);
  const std::uint64_t begin = bounds[0] + position;
  if (begin + bytes > bounds[1]) {
    return packet_end;
  }
  const std::byte* at = runtime.readable(begin, bytes).data();
  std::uint64_t value = 0;
  for (std::uint64_t i = 0; i < bytes; ++i) {
    value = value << 8 | static_cast<std::uint64_t>(at[i]);
  }
  return value;
}

}  // namespace calls

std::uint64_t Runtime::call_back(std::uint64_t function, std::uint64_t r1, std::uint64_t r2, std::uint64_t r3,
                                 std::uint64_t r4, std::uint64_t r5) {
  VmState& state = *vm;
  if ((function & function_tag) == 0 || function - function_tag - 1 >= state.code.functions.size()) {
    abort(Abort::bad_function);
  }
  const BoxOffset caller_frame = execution.frame;
  const void* const caller_position = execution.position;
  const std::uint32_t caller_op = execution.op;
  if (caller_frame < state.stack_begin + 2 * frame_bytes) {
    abort(Abort::call_depth);
  }
  const std::uint64_t r0 = state.enter(static_cast<std::uint32_t>(function - function_tag - 1), {r1, r2, r3, r4, r5},
                                       caller_frame - frame_bytes);
  execution.frame = caller_frame;
  execution.position = caller_position;
  execution.op = caller_op;
  if (execution.fuel_left < 0) {
    abort(Abort::fuel);
  }
  return r0;
}

}  // namespace rxpool::bpf
