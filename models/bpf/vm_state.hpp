#pragma once
// The insides of a Vm, shared by front, interpreters and compiler.

#include <array>
#include <memory>
#include <vector>

#include "models/bpf/abort.hpp"
#include "models/bpf/decoded.hpp"
#include "models/bpf/interpreter.hpp"
#include "models/bpf/jit.hpp"
#include "models/bpf/vm.hpp"

namespace rxpool::bpf {

struct VmState {
  VmState(Box& own_box, std::vector<Program> own_programs, std::vector<Map*> own_maps, const HelperTable& own_helpers,
          VmOptions own_options);

  Box& box;
  std::vector<Program> programs;
  std::vector<Map*> maps;
  const HelperTable& helpers;
  VmOptions options;
  Decoded code;
  Runtime* runtime;       // in the host area of the box
  BoxOffset stack_begin;  // max_call_depth frames
  std::vector<ThreadedOp> threaded;
  std::unique_ptr<CompiledCode> compiled;
  std::array<std::uint64_t, 6> aborts{};  // by Abort
  Abort last_reason = Abort::none;
  std::uint32_t last_op = 0;
  BoxOffset last_offset = 0;
  std::int32_t last_bytes = 0;  // checked interpreter: bytes of the refused access, negative for a write

  BoxOffset stack_top() const { return stack_begin + max_call_depth * frame_bytes; }
  /// Runs a function with the engine of this Vm; returns r0, with everything booked. Leaves by Runtime::abort.
  std::uint64_t enter(std::uint32_t function, const std::array<std::uint64_t, 5>& arguments, BoxOffset frame);
  std::uint32_t first_op(std::uint32_t program) const { return code.functions[code.program_entry[program]].first_op; }
  /// One packet from that operation on, with an interpreter.
  void interpret_packet(std::uint32_t first, PacketView& packet, Outcome& outcome);
  /// Before each run.
  void prepare();
  /// Where an abort of this Vm's code resumes, but for the jump buffer.
  Recovery recovery() const;
  /// After each run: what it cost, or why it ended.
  void complete(Outcome& outcome, std::uint64_t r0);
  void complete_aborted(Outcome& outcome);
  Outcome run_function(std::uint32_t function, const std::array<std::uint64_t, 5>& arguments);
};

inline void VmState::prepare() {
  runtime->execution.fuel_left = options.fuel;
  runtime->execution.helper_ps = 0;
  runtime->execution.tail_calls = 0;
  runtime->redirect.pending = false;
}

inline void VmState::complete(Outcome& outcome, std::uint64_t r0) {
  const std::int64_t insns = options.fuel - runtime->execution.fuel_left;
  outcome.r0 = r0;
  outcome.insns = static_cast<std::uint32_t>(insns);
  outcome.cost_ps = insns * options.cost.insn_ps + runtime->execution.helper_ps;
  outcome.abort = 0;
  if (r0 == xdp_redirect) {
    outcome.redirect = runtime->redirect;
  } else {
    outcome.redirect.pending = false;
  }
  runtime->now.ps += outcome.cost_ps;
}

inline void VmState::interpret_packet(std::uint32_t first, PacketView& packet, Outcome& outcome) {
  runtime->packet = &packet;
  runtime->now.ps += packet.lead_ps;
  prepare();
  const std::array<std::uint64_t, 5> arguments{packet.context};
  complete(outcome, interpret(*this, first, arguments, stack_top(), options.engine == Engine::checked));
}

/// Calls out of running code that both engines share.
namespace calls {

/// Program to go on with, or -1: no PROG_ARRAY, no entry, or 33 tail calls made (MAX_TAIL_CALL_CNT).
std::int64_t tail_call(Runtime& runtime, std::uint64_t context, std::uint64_t map, std::uint64_t index);
/// CALLX: a function of the program or a helper id.
std::uint64_t call_register(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t r3, std::uint64_t r4,
                            std::uint64_t r5);
/// LD_ABS, LD_IND: `bytes` of the packet at `position` in host order, or packet_end.
std::uint64_t load_packet(Runtime& runtime, std::uint64_t context, std::uint64_t position, std::uint64_t bytes);
constexpr std::uint64_t packet_end = ~std::uint64_t{0};

}  // namespace calls

}  // namespace rxpool::bpf
