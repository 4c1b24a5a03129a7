#include "models/bpf/jit_emitter.hpp"

namespace rxpool::bpf::jit {

Emitter::Emitter(asmjit::CodeHolder& holder, const Decoded& code, const JitLayout& layout)
    : a_(&holder), code_(code), layout_(layout), labels_(code.ops.size()), op_begin_() {
  op_begin_.reserve(code.ops.size());
  for (std::size_t i = 0; i < code.functions.size(); ++i) {
    functions_.push_back(a_.newLabel());
  }
  tail_table_ = a_.newLabel();
  for (const Op& op : code.ops) {
    const bool account = op.kind >= OpKind::account && op.kind <= OpKind::account_ja_check;
    const bool leaves = op.kind == OpKind::call_helper || op.kind == OpKind::call_lookup ||
                        op.kind == OpKind::call_register || op.kind == OpKind::tail_call;
    calls_out_ = calls_out_ || leaves;
    books_ = books_ || leaves || account || op.kind == OpKind::call_local;
    const auto is_left = [](std::uint8_t bpf_register) { return bpf_register < 7 || bpf_register == frame_register; };
    leaves_r7_ = leaves_r7_ && is_left(op.dst) && is_left(op.src) && op.kind != OpKind::tail_call;
  }
}

x86::Gp Emitter::reg64(unsigned bpf_register) {
  static const x86::Gp registers[register_count] = {x86::rax, x86::rsi, x86::rdx, x86::rcx, x86::r8, x86::r9,
                                                    x86::rbx, x86::r13, x86::r14, x86::r15, x86::rbp};
  return registers[bpf_register];
}

x86::Mem Emitter::memory(unsigned bpf_register, std::int32_t offset, unsigned bytes, bool is_offset) {
  if (is_offset) {
    return x86::ptr(x86::r12, reg64(bpf_register), 0, offset, bytes);
  }
  a_.mov(x86::r11d, reg32(bpf_register));
  return x86::ptr(x86::r12, x86::r11, 0, offset, bytes);
}

x86::Mem Emitter::host(const void* field, unsigned bytes) const {
  const auto distance = static_cast<const std::byte*>(field) - layout_.box->base();
  return x86::ptr(x86::r12, static_cast<std::int32_t>(distance), bytes);
}

void Emitter::constant(const x86::Gp& target, std::uint64_t value) {
  if (value == 0) {
    a_.xor_(target.r32(), target.r32());
  } else if (value >> 32 == 0) {
    a_.mov(target.r32(), value);
  } else {
    a_.mov(target.r64(), static_cast<std::int64_t>(value));
  }
}

void Emitter::zero(std::uint16_t registers) {
  for (unsigned n = 0; n < register_count; ++n) {
    if ((registers >> n & 1) != 0) {
      a_.xor_(reg32(n), reg32(n));
    }
  }
}

asmjit::Label Emitter::label_of(std::uint32_t op) {
  if (!labels_[op].isValid()) {
    labels_[op] = a_.newLabel();
  }
  return labels_[op];
}

void Emitter::function(std::uint32_t index) {
  const Function& function = code_.functions[index];
  // Labels of jump targets exist before the code that binds them.
  for (std::uint32_t i = function.first_op; i < function.end_op; ++i) {
    const OpKind kind = code_.ops[i].kind;
    const bool conditional = kind >= OpKind::jeq64_imm && kind <= OpKind::jset32_reg;
    if (conditional || kind == OpKind::ja || kind == OpKind::account_ja || kind == OpKind::account_ja_check) {
      label_of(code_.ops[i].target);
    }
  }
  a_.align(asmjit::AlignMode::kCode, 16);
  a_.bind(functions_[index]);
  for (std::uint32_t i = function.first_op; i < function.end_op; i = static_cast<std::uint32_t>(op_begin_.size())) {
    op_begin_.push_back(static_cast<std::uint32_t>(a_.offset()));
    if (labels_[i].isValid()) {
      a_.bind(labels_[i]);
    }
    if (const std::uint32_t count = fused(i, function.end_op); count != 0) {
      op_begin_.resize(i + count, static_cast<std::uint32_t>(a_.offset()));
    } else {
      operation(i);
    }
  }
  for (std::size_t i = 0; i < cold_.size(); ++i) {
    cold_[i]();
  }
  cold_.clear();
}

void Emitter::operation(std::uint32_t index) {
  const Op& op = code_.ops[index];
  const auto number = static_cast<unsigned>(op.kind);
  const unsigned form = number & 3;
  static_assert(static_cast<unsigned>(OpKind::jeq64_imm) % 4 == 0);
  if (op.kind < OpKind::jeq64_imm) {
    return alu(op, static_cast<OpKind>(number - form), form);
  }
  if (op.kind <= OpKind::jset32_reg) {
    return condition(op, static_cast<OpKind>(number - form), form);
  }
  if (op.kind <= OpKind::bswap64) {
    return unary(op);
  }
  if (op.kind <= OpKind::store64_reg) {
    return load_store(op);
  }
  if (op.kind <= OpKind::fetch_xor_64) {
    return atomic(op);
  }
  switch (op.kind) {
    case OpKind::xchg32:
    case OpKind::xchg64:
    case OpKind::cmpxchg32:
    case OpKind::cmpxchg64:
      return exchange(op);
    case OpKind::load_packet8:
    case OpKind::load_packet16:
    case OpKind::load_packet32:
      return load_packet(index);
    case OpKind::lddw:
      return constant(reg64(op.dst), static_cast<std::uint64_t>(op.imm));
    case OpKind::ja:
      a_.jmp(label_of(op.target));
      return;
    case OpKind::account:
    case OpKind::account_check:
    case OpKind::account_ja:
    case OpKind::account_ja_check:
      return account(index);
    case OpKind::call_helper:
      return call_helper(index);
    case OpKind::call_array:
      return call_array(op);
    case OpKind::call_lookup:
      return call_lookup(index);
    case OpKind::call_ktime:
      return call_ktime(op);
    case OpKind::call_cpu:
      a_.mov(x86::eax, host(&layout_.runtime->cpu, 4));
      return zero(op.zeroed);
    case OpKind::call_numa:
      a_.mov(x86::eax, host(&layout_.runtime->numa_node, 4));
      return zero(op.zeroed);
    case OpKind::call_local:
      return call_local(index);
    case OpKind::call_register:
      return call_register(index);
    case OpKind::tail_call:
      return tail_call(index);
    default:
      return leave(op.booked);  // exit
  }
}

void Emitter::account(std::uint32_t index) {
  const Op& op = code_.ops[index];
  // The subtraction comes last: its sign is the fuel check.
  if (op.booked.helper_ps != 0) {
    constant(x86::r11, static_cast<std::uint64_t>(op.booked.helper_ps));
    a_.add(host(&execution().helper_ps, 8), x86::r11);
  }
  a_.sub(host(&execution().fuel_left, 8), op.booked.insns);
  const bool checks = op.kind == OpKind::account_check || op.kind == OpKind::account_ja_check;
  if (checks) {
    a_.js(abort_at(index, Abort::fuel));
  }
  if (op.kind == OpKind::account_ja || op.kind == OpKind::account_ja_check) {
    a_.jmp(label_of(op.target));
  }
}

void Emitter::leave(const Pending& booked) {
  constant(x86::r10, static_cast<std::uint64_t>(booked.insns));
  constant(x86::r11, static_cast<std::uint64_t>(booked.helper_ps));
  a_.ret();
}

}  // namespace rxpool::bpf::jit
