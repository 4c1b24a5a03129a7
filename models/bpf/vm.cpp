#include "models/bpf/vm.hpp"

#include <new>
#include <string>

#include "models/bpf/vm_state.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {

bool jit_available() {
#if defined(__x86_64__)
  return true;
#else
  return false;
#endif
}

VmState::VmState(Box& own_box, std::vector<Program> own_programs, std::vector<Map*> own_maps,
                 const HelperTable& own_helpers, VmOptions own_options)
    : box(own_box),
      programs(std::move(own_programs)),
      maps(std::move(own_maps)),
      helpers(own_helpers),
      options(own_options) {
  if (options.fuel < 1 || options.fuel > INT32_MAX) {
    throw InputError("policy: the instruction budget is " + std::to_string(options.fuel) + ", not 1 to 2147483647");
  }
  if (options.cost.insn_ps > 1'000'000) {
    throw InputError("policy: an instruction costs " + std::to_string(options.cost.insn_ps) + " ps, more than 1 us");
  }
  if (options.engine == Engine::jit && !jit_available()) {
    options.engine = Engine::interpreter;
  }
  install_fault_handler();
  code = decode(programs, maps, helpers);
  static_assert(sizeof(Runtime) <= Box::host_area_bytes);
  runtime = new (box.host_area()) Runtime;
  runtime->box = &box;
  runtime->maps = maps;
  runtime->programs = programs;
  // A page above the frames, touched once so that it is present: keys live at the top of a frame, and a vector load of
  // the host that reaches past them into an absent page costs a hundred nanoseconds although its surplus is masked.
  stack_begin = box.map_region(ObjectClass::stack, max_call_depth * frame_bytes + Box::page_bytes, "stack");
  *static_cast<volatile std::byte*>(box.at(stack_top())) = std::byte{0};
  if (options.engine == Engine::jit) {
    const JitLayout layout{&box, runtime, stack_begin, options.fuel, options.cost.insn_ps};
    compiled = std::make_unique<CompiledCode>(code, layout);
  } else {
    threaded = thread_code(code, options.engine == Engine::checked);
  }
}

std::uint64_t VmState::enter(std::uint32_t function, const std::array<std::uint64_t, 5>& arguments, BoxOffset frame) {
  if (compiled != nullptr) {
    return compiled->invoke(function, arguments, frame);
  }
  return interpret(*this, code.functions[function].first_op, arguments, frame, options.engine == Engine::checked);
}

Recovery VmState::recovery() const {
  Recovery recovery;
  if (compiled != nullptr) {
    recovery.code_begin = compiled->begin();
    recovery.code_end = compiled->end();
  }
  return recovery;
}

void VmState::complete_aborted(Outcome& outcome) {
  Execution& execution = runtime->execution;
  const auto& recovery = *static_cast<const Recovery*>(execution.recovery);
  if (compiled == nullptr) {
    last_op = static_cast<std::uint32_t>(static_cast<const ThreadedOp*>(execution.position) - threaded.data());
  } else {
    last_op = recovery.fault_pc != nullptr ? compiled->op_at(recovery.fault_pc) : execution.op;
  }
  last_reason = execution.abort;
  last_offset = execution.fault_offset;
  aborts[static_cast<std::size_t>(last_reason)] += 1;
  if (last_reason != Abort::fuel) {
    execution.fuel_left -= code.pending[last_op].insns;
    execution.helper_ps += code.pending[last_op].helper_ps;
  }
  complete(outcome, xdp_aborted);
  outcome.abort = static_cast<std::uint32_t>(last_reason);
}

Outcome VmState::run_function(std::uint32_t function, const std::array<std::uint64_t, 5>& arguments) {
  Outcome outcome;
  Recovery recovery = this->recovery();
  const RunningBox running(*runtime, recovery);
  prepare();
  if (sigsetjmp(recovery.target, 0) == 0) {
    complete(outcome, enter(function, arguments, stack_top()));
  } else {
    complete_aborted(outcome);
  }
  return outcome;
}

Vm::Vm(Box& box, std::vector<Program> programs, std::vector<Map*> maps, const HelperTable& helpers, VmOptions options)
    : state_(std::make_unique<VmState>(box, std::move(programs), std::move(maps), helpers, options)),
      runtime_(state_->runtime) {
  runtime_->vm = state_.get();
}

Vm::~Vm() {
  state_->box.unmap_region(state_->stack_begin);
}

std::span<const Program> Vm::programs() const {
  return state_->programs;
}
Engine Vm::engine() const {
  return state_->options.engine;
}

Outcome Vm::run(std::uint32_t program, BoxOffset r1, std::uint64_t r2) {
  return state_->run_function(state_->code.program_entry[program], {r1, r2, 0, 0, 0});
}

void Vm::run_batch(std::uint32_t program, std::span<PacketView> packets, std::span<Outcome> outcomes) {
  VmState& state = *state_;
  Runtime& runtime = *state.runtime;
  if (packets.empty()) {
    return;
  }
  Recovery recovery = state.recovery();
  const RunningBox running(runtime, recovery);
  volatile std::size_t next = 0;  // survives the jump back
  if (sigsetjmp(recovery.target, 0) != 0) {
    const auto failed = static_cast<std::size_t>(runtime.packet - packets.data());
    state.complete_aborted(outcomes[failed]);
    next = failed + 1;
  }
  if (state.compiled != nullptr) {
    if (next < packets.size()) {
      state.prepare();
      state.compiled->run_batch(program, &packets[next], packets.data() + packets.size(), &outcomes[next]);
    }
  } else {
    const std::uint32_t first_op = state.first_op(program);
    while (next < packets.size()) {
      const std::size_t at = next;
      state.interpret_packet(first_op, packets[at], outcomes[at]);
      next = at + 1;
    }
  }
  runtime.packet = nullptr;
}

void Vm::run_while(std::uint32_t program, PacketView& view, PacketFeed& feed) {
  VmState& state = *state_;
  Runtime& runtime = *state.runtime;
  Outcome outcome;
  Recovery recovery = state.recovery();
  const RunningBox running(runtime, recovery);
  bool more = true;
  if (sigsetjmp(recovery.target, 0) != 0) {
    state.complete_aborted(outcome);
    more = feed.ran(outcome);
  }
  if (state.compiled != nullptr) {
    state.prepare();
    while (more) {
      state.compiled->run_batch(program, &view, &view + 1, &outcome);
      more = feed.ran(outcome);
    }
  } else {
    const std::uint32_t first_op = state.first_op(program);
    while (more) {
      state.interpret_packet(first_op, view, outcome);
      more = feed.ran(outcome);
    }
  }
  runtime.packet = nullptr;
}

Outcome Vm::run_function(std::uint64_t function, std::uint64_t r1, std::uint64_t r2, std::uint64_t r3) {
  ensure(function > function_tag && function - function_tag <= state_->code.functions.size(),
         "Vm::run_function: no function of this policy");
  return state_->run_function(static_cast<std::uint32_t>(function - function_tag - 1), {r1, r2, r3, 0, 0});
}

std::uint64_t Vm::aborts(Abort reason) const {
  return state_->aborts[static_cast<std::size_t>(reason)];
}

}  // namespace rxpool::bpf
