// Templates of calls: helpers, lookups, functions of the program, tail calls, and the way out of a run.
#include "models/bpf/jit_emitter.hpp"
#include "models/bpf/vm_state.hpp"

namespace rxpool::bpf::jit {

namespace {

[[noreturn]] void abort_run(Runtime& runtime, std::uint32_t reason) {
  runtime.abort(static_cast<Abort>(reason));
}

}  // namespace

asmjit::Label Emitter::abort_at(std::uint32_t index, Abort reason) {
  const asmjit::Label label = a_.newLabel();
  cold([this, label, index, reason] {
    a_.bind(label);
    before_call(index);
    a_.mov(x86::esi, static_cast<std::uint32_t>(reason));
    call(reinterpret_cast<const void*>(&abort_run));
  });
  return label;
}

void Emitter::before_call(std::uint32_t index) {
  a_.mov(host(&execution().op, 4), index);
  a_.mov(host(&execution().frame, 4), x86::ebp);
  a_.lea(x86::rdi, host(layout_.runtime, 0));
}

void Emitter::call(const void* function) {
  a_.call(reinterpret_cast<std::uint64_t>(function));
}

void Emitter::call_helper(std::uint32_t index) {
  const Op& op = code_.ops[index];
  before_call(index);
  call(reinterpret_cast<const void*>(op.site->fn));
  zero(op.zeroed);
}

void Emitter::call_array(const Op& op) {
  const asmjit::Label done = a_.newLabel();
  a_.mov(x86::eax, memory(2, 0, 4, op.address_is_offset));
  array_value(op, done);
  a_.bind(done);
  zero(op.zeroed);
}

void Emitter::array_value(const Op& op, const asmjit::Label& outside) {
  const ArrayLayout& array = op.site->array;
  const asmjit::Label beyond = a_.newLabel();
  a_.cmp(x86::eax, static_cast<std::int32_t>(array.max_entries));
  a_.jae(beyond);
  const std::uint32_t stride = array.value_stride;
  if (stride != 0 && (stride & (stride - 1)) == 0) {
    a_.shl(x86::eax, __builtin_ctz(stride));
  } else {
    a_.imul(x86::eax, x86::eax, static_cast<std::int32_t>(stride));
  }
  const auto base = static_cast<std::int32_t>(array.base);
  if (array.cpu_stride != 0) {
    a_.imul(x86::r10d, host(&layout_.runtime->cpu, 4), static_cast<std::int32_t>(array.cpu_stride));
    a_.lea(x86::eax, x86::ptr(x86::rax, x86::r10, 0, base));
  } else {
    a_.add(x86::eax, base);
  }
  cold([this, beyond, outside] {
    a_.bind(beyond);
    a_.xor_(x86::eax, x86::eax);
    a_.jmp(outside);
  });
}

void Emitter::call_lookup(std::uint32_t index) {
  const Op& op = code_.ops[index];
  a_.mov(host(&execution().op, 4), index);
  if (!op.address_is_offset) {
    a_.mov(x86::edx, x86::edx);
  }
  a_.add(x86::rdx, x86::r12);
  constant(x86::rsi, reinterpret_cast<std::uint64_t>(op.site->map));
  a_.lea(x86::rdi, host(layout_.runtime, 0));
  call(reinterpret_cast<const void*>(op.site->lookup));
  zero(op.zeroed);
}

void Emitter::call_ktime(const Op& op) {
  // now / 1000 by multiplication: (now >> 3) * ceil(2^68 / 1000) >> 68, exact for 61 bits. r2 dies in the call.
  a_.mov(x86::rax, host(&layout_.runtime->now, 8));
  a_.shr(x86::rax, 3);
  a_.mov(x86::rdx, std::int64_t{0x20c49ba5e353f7cf});
  a_.mul(x86::rdx);
  a_.shr(x86::rdx, 4);
  a_.mov(x86::rax, x86::rdx);
  zero(op.zeroed);
}

void Emitter::call_local(std::uint32_t index) {
  const Op& op = code_.ops[index];
  a_.cmp(x86::ebp, static_cast<std::int32_t>(layout_.stack_begin + 2 * frame_bytes));
  a_.jb(abort_at(index, Abort::call_depth));
  for (unsigned n = 6; n <= 9; ++n) {
    a_.push(reg64(n));
  }
  a_.sub(x86::rsp, 8);
  a_.sub(x86::rbp, frame_bytes);
  a_.call(functions_[op.target]);
  a_.add(x86::rbp, frame_bytes);
  a_.add(x86::rsp, 8);
  for (unsigned n = 9; n >= 6; --n) {
    a_.pop(reg64(n));
  }
  a_.sub(host(&execution().fuel_left, 8), x86::r10);
  a_.add(host(&execution().helper_ps, 8), x86::r11);
  zero(op.zeroed);
}

void Emitter::call_register(std::uint32_t index) {
  const Op& op = code_.ops[index];
  a_.mov(host(&execution().call_register, 8), reg64(op.src));
  before_call(index);
  call(reinterpret_cast<const void*>(&calls::call_register));
  zero(op.zeroed);
}

void Emitter::tail_call(std::uint32_t index) {
  const Op& op = code_.ops[index];
  const asmjit::Label taken = a_.newLabel();
  has_tail_calls_ = true;
  a_.mov(host(&execution().call_target, 4), x86::esi);
  before_call(index);
  call(reinterpret_cast<const void*>(&calls::tail_call));
  a_.test(x86::rax, x86::rax);
  a_.jns(taken);
  a_.xor_(x86::eax, x86::eax);
  zero(op.zeroed);
  cold([this, taken] {
    a_.bind(taken);
    a_.lea(x86::r11, x86::ptr(tail_table_));
    a_.mov(x86::r11, x86::ptr(x86::r11, x86::rax, 3));
    zero(0x3ff);
    a_.mov(reg32(1), host(&execution().call_target, 4));
    a_.jmp(x86::r11);
  });
}

void Emitter::tail_table() {
  if (!has_tail_calls_) {
    return;
  }
  a_.align(asmjit::AlignMode::kData, 8);
  a_.bind(tail_table_);
  for (const std::uint32_t entry : code_.program_entry) {
    a_.embedLabel(functions_[entry], 8);
  }
}

void Emitter::load_packet(std::uint32_t index) {
  const Op& op = code_.ops[index];
  const asmjit::Label outside = a_.newLabel();
  if (op.dst != 0) {
    a_.mov(x86::r10d, reg32(op.src));
    a_.add(x86::r10d, static_cast<std::int32_t>(op.imm));
  } else {
    a_.mov(x86::r10d, static_cast<std::uint32_t>(op.imm));
  }
  before_call(index);
  a_.mov(x86::rsi, reg64(6));
  a_.mov(x86::edx, x86::r10d);
  a_.mov(x86::ecx, 1u << (static_cast<unsigned>(op.kind) - static_cast<unsigned>(OpKind::load_packet8)));
  call(reinterpret_cast<const void*>(&calls::load_packet));
  a_.cmp(x86::rax, -1);
  a_.je(outside);
  zero(op.zeroed);
  cold([this, outside, index] {
    a_.bind(outside);
    a_.xor_(x86::eax, x86::eax);
    leave(code_.pending[index]);
  });
}

}  // namespace rxpool::bpf::jit
