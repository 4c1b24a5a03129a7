// Ways into compiled code: a batch of packets, and one function.
#include <cstddef>

#include "models/bpf/jit_emitter.hpp"

namespace rxpool::bpf::jit {

namespace {

const x86::Gp saved_by_callee[] = {x86::rbx, x86::rbp, x86::r12, x86::r13, x86::r14, x86::r15};

void push_all(x86::Assembler& a) {
  for (const x86::Gp& reg : saved_by_callee) {
    a.push(reg);
  }
}

void pop_all(x86::Assembler& a) {
  for (std::size_t i = std::size(saved_by_callee); i-- > 0;) {
    a.pop(saved_by_callee[i]);
  }
}

x86::Mem field(const x86::Gp& base, std::size_t offset, unsigned bytes) {
  return x86::ptr(base, static_cast<std::int32_t>(offset), bytes);
}

}  // namespace

/// Where a batch keeps what its loop needs. Where the programs need few registers, packet, outcome and clock stay in
/// those of r7 to r9: kept in memory, each would be read back right behind its store, packet after packet.
struct Emitter::Batch {
  x86::Mem end = x86::ptr(x86::rsp, 0, 8);
  x86::Mem outcome_kept = x86::ptr(x86::rsp, 8, 8);
  x86::Mem packet_kept;
  x86::Mem now;
  x86::Gp now_register;
  x86::Gp outcome;
  x86::Gp packet;
};

// What no program of the policy changes, VmState::prepare has set before the batch.
// void batch(PacketView* begin, PacketView* end, Outcome* outcomes, std::byte* base_of_box)
void Emitter::batch_entry(std::uint32_t program) {
  Runtime& runtime = *layout_.runtime;
  const Batch batch{.packet_kept = host(&runtime.packet, 8),
                    .now = host(&runtime.now, 8),
                    .now_register = reg64(7),
                    .outcome = leaves_r7_ ? reg64(8) : x86::Gp(x86::rdi),
                    .packet = leaves_r7_ ? reg64(9) : x86::Gp(x86::rdi)};
  const asmjit::Label loop = a_.newLabel();
  const asmjit::Label redirect = a_.newLabel();
  const asmjit::Label stored = a_.newLabel();
  const asmjit::Label last = a_.newLabel();

  enter_batch(batch);
  a_.bind(loop);
  run_packet(batch, code_.program_entry[program]);
  store_outcome(batch);
  a_.cmp(x86::rax, static_cast<std::int32_t>(xdp_redirect));
  a_.je(redirect);
  a_.mov(field(batch.outcome, offsetof(Outcome, redirect.pending), 1), 0);
  a_.bind(stored);
  a_.add(batch.outcome, sizeof(Outcome));
  if (!leaves_r7_) {
    a_.mov(batch.outcome_kept, batch.outcome);
    a_.mov(batch.packet, batch.packet_kept);
  }
  a_.add(batch.packet, sizeof(PacketView));
  a_.cmp(batch.packet, batch.end);
  a_.je(last);
  // One step of the clock: the cost of this packet and what precedes the next.
  a_.add(x86::rdx, field(batch.packet, offsetof(PacketView, lead_ps), 8));
  advance_clock(batch, x86::rdx);
  a_.mov(batch.packet_kept, batch.packet);
  a_.jmp(loop);

  a_.bind(last);
  advance_clock(batch, x86::rdx);
  a_.add(x86::rsp, 16);
  pop_all(a_);
  a_.ret();

  a_.bind(redirect);
  store_redirect(batch);
  a_.jmp(stored);
}

void Emitter::enter_batch(const Batch& batch) {
  a_.align(asmjit::AlignMode::kCode, 16);
  push_all(a_);
  a_.sub(x86::rsp, 16);
  a_.mov(x86::r12, x86::rcx);
  a_.mov(batch.end, x86::rsi);
  a_.mov(batch.outcome_kept, x86::rdx);
  a_.mov(batch.packet_kept, x86::rdi);
  a_.mov(x86::rax, field(x86::rdi, offsetof(PacketView, lead_ps), 8));
  if (leaves_r7_) {
    a_.mov(batch.outcome, x86::rdx);
    a_.mov(batch.packet, x86::rdi);
    a_.mov(batch.now_register, batch.now);
  }
  advance_clock(batch, x86::rax);
}

void Emitter::advance_clock(const Batch& batch, const x86::Gp& ps) {
  if (leaves_r7_) {
    a_.add(batch.now_register, ps);
    a_.mov(batch.now, batch.now_register);
  } else {
    a_.add(batch.now, ps);
  }
}

void Emitter::run_packet(const Batch& batch, std::uint32_t entry) {
  if (books_) {
    a_.mov(host(&execution().fuel_left, 8), static_cast<std::int32_t>(layout_.fuel));
    a_.mov(host(&execution().helper_ps, 8), 0);
  }
  if (calls_out_) {
    a_.mov(host(&execution().tail_calls, 4), 0);
    a_.mov(host(&layout_.runtime->redirect.pending, 1), 0);
  }
  a_.mov(x86::esi, field(batch.packet, offsetof(PacketView, context), 4));
  a_.mov(x86::ebp, layout_.stack_begin + max_call_depth * frame_bytes);
  zero(static_cast<std::uint16_t>(code_.functions[entry].zeroed & ~2u));
  a_.call(functions_[entry]);
}

/// The verdict is in rax; rcx: instructions, rdx: cost.
void Emitter::store_outcome(const Batch& batch) {
  if (!leaves_r7_) {
    a_.mov(batch.outcome, batch.outcome_kept);
  }
  if (books_) {
    a_.lea(x86::rcx, x86::ptr(x86::r10, static_cast<std::int32_t>(layout_.fuel)));
    a_.sub(x86::rcx, host(&execution().fuel_left, 8));
    a_.add(x86::r11, host(&execution().helper_ps, 8));
  } else {
    a_.mov(x86::rcx, x86::r10);
  }
  a_.imul(x86::rdx, x86::rcx, static_cast<std::int32_t>(layout_.insn_ps));
  a_.add(x86::rdx, x86::r11);
  a_.mov(field(batch.outcome, offsetof(Outcome, r0), 8), x86::rax);
  a_.mov(field(batch.outcome, offsetof(Outcome, cost_ps), 8), x86::rdx);
  static_assert(offsetof(Outcome, abort) == offsetof(Outcome, insns) + 4);
  a_.mov(field(batch.outcome, offsetof(Outcome, insns), 8), x86::rcx);  // and abort = 0
}

void Emitter::store_redirect(const Batch& batch) {
  static_assert(sizeof(RedirectInfo) == 24);
  for (std::size_t at = 0; at < sizeof(RedirectInfo); at += 8) {
    a_.mov(x86::rcx, host(reinterpret_cast<const std::byte*>(&layout_.runtime->redirect) + at, 8));
    a_.mov(field(batch.outcome, offsetof(Outcome, redirect) + at, 8), x86::rcx);
  }
}

// std::uint64_t invoke(const std::byte* function, std::byte* base_of_box, std::uint64_t frame, const std::uint64_t* r1)
void Emitter::invoke_entry() {
  a_.align(asmjit::AlignMode::kCode, 16);
  push_all(a_);
  a_.mov(x86::r12, x86::rsi);
  a_.mov(x86::ebp, x86::edx);
  a_.mov(x86::rsi, x86::ptr(x86::rcx, 0));
  a_.mov(x86::rdx, x86::ptr(x86::rcx, 8));
  a_.mov(x86::r8, x86::ptr(x86::rcx, 24));
  a_.mov(x86::r9, x86::ptr(x86::rcx, 32));
  a_.mov(x86::rcx, x86::ptr(x86::rcx, 16));
  zero(0x3c1);  // r0, r6 to r9
  a_.call(x86::rdi);
  a_.sub(host(&execution().fuel_left, 8), x86::r10);
  a_.add(host(&execution().helper_ps, 8), x86::r11);
  pop_all(a_);
  a_.ret();
}

}  // namespace rxpool::bpf::jit
