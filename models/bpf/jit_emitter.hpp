#pragma once
// The compiler's workbench: the assembler, where BPF registers live, labels, and the code that is kept out of the way
// of the straight path (cold). The templates are in jit_alu.cpp, jit_memory.cpp, jit_calls.cpp and jit_entry.cpp.
//
// r0 rax | r1 rsi | r2 rdx | r3 rcx | r4 r8 | r5 r9: arguments are where the C calling convention wants them, one
// further than a helper's, which takes the Runtime first. r6 rbx | r7 r13 | r8 r14 | r9 r15 | r10 rbp survive calls, as
// they must. r12: base of the box. rdi, r10, r11: scratch. Inside a function rsp is a multiple of 16. A function
// returns r0 in rax and what it has not booked in r10 (instructions) and r11 (helper cost).

#include <asmjit/x86.h>

#include <functional>
#include <span>
#include <vector>

#include "models/bpf/decoded.hpp"
#include "models/bpf/jit.hpp"

namespace rxpool::bpf::jit {

namespace x86 = asmjit::x86;

class Emitter {
 public:
  Emitter(asmjit::CodeHolder& holder, const Decoded& code, const JitLayout& layout);

  void function(std::uint32_t index);
  void batch_entry(std::uint32_t program);
  void invoke_entry();
  /// Table of entries for tail calls; last.
  void tail_table();

  std::size_t position() const { return a_.offset(); }
  const std::vector<std::uint32_t>& op_begin() const { return op_begin_; }

 private:
  // Operands.
  static x86::Gp reg64(unsigned bpf_register);
  static x86::Gp reg32(unsigned bpf_register) { return sized(reg64(bpf_register), true); }
  static x86::Gp sized(const x86::Gp& reg, bool narrow) {
    if (narrow) {
      return reg.r32();
    }
    return reg.r64();
  }
  /// Memory of the program at register + offset, `bytes` wide; may use r11.
  x86::Mem memory(unsigned bpf_register, std::int32_t offset, unsigned bytes, bool is_offset);
  /// A field of the Runtime.
  x86::Mem host(const void* field, unsigned bytes) const;
  void constant(const x86::Gp& target, std::uint64_t value);
  void zero(std::uint16_t registers);

  // A batch of packets.
  struct Batch;
  void enter_batch(const Batch& batch);
  void advance_clock(const Batch& batch, const x86::Gp& ps);
  void run_packet(const Batch& batch, std::uint32_t entry);
  void store_outcome(const Batch& batch);
  void store_redirect(const Batch& batch);

  // Templates.
  void operation(std::uint32_t index);
  /// One template for several operations from `index` on: how many, or 0.
  std::uint32_t fused(std::uint32_t index, std::uint32_t end);
  /// Operations from `index` on to which nobody jumps, but for the first.
  std::span<const Op> straight(std::uint32_t index, std::uint32_t end) const;
  std::uint32_t array_lookup(std::span<const Op> ops);
  void alu(const Op& op, OpKind base, unsigned form);
  void division(const Op& op, OpKind base, unsigned form);
  void shift_by_register(const Op& op, OpKind base, bool narrow);
  void unary(const Op& op);
  void condition(const Op& op, OpKind base, unsigned form);
  void load_store(const Op& op);
  void fetch(const Op& op, OpKind plain, bool narrow);
  void atomic(const Op& op);
  void exchange(const Op& op);
  void account(std::uint32_t index);
  void leave(const Pending& booked);
  void before_call(std::uint32_t index);
  void call(const void* function);
  void call_helper(std::uint32_t index);
  void call_array(const Op& op);
  /// The value of the key in eax to rax; NULL in rax and off to `outside` for a key that the array does not have.
  void array_value(const Op& op, const asmjit::Label& outside);
  void call_lookup(std::uint32_t index);
  void call_ktime(const Op& op);
  void call_local(std::uint32_t index);
  void call_register(std::uint32_t index);
  void tail_call(std::uint32_t index);
  void load_packet(std::uint32_t index);
  /// Code that ends the run; returns its label.
  asmjit::Label abort_at(std::uint32_t index, Abort reason);

  asmjit::Label label_of(std::uint32_t op);
  /// Registers code to be emitted after the function.
  void cold(std::function<void()> emit) { cold_.push_back(std::move(emit)); }

  const Execution& execution() const { return layout_.runtime->execution; }

  x86::Assembler a_;
  const Decoded& code_;
  const JitLayout& layout_;
  std::vector<asmjit::Label> labels_;     // per op, made on demand
  std::vector<asmjit::Label> functions_;  // per function
  asmjit::Label tail_table_;
  bool has_tail_calls_ = false;
  bool calls_out_ = false;  // some program calls a helper or another program
  bool books_ = false;      // some program books on its way, or calls what may
  bool leaves_r7_ = true;   // r7, r8 and r9 stay as they are in every program
  std::vector<std::uint32_t> op_begin_;
  std::vector<std::function<void()>> cold_;
};

}  // namespace rxpool::bpf::jit
