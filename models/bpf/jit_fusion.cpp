// Templates for operations that compilers put side by side and that one after the other would take more instructions.
// Nobody jumps to any but the first, and none of them can fault.
#include "models/bpf/frame_lookup.hpp"
#include "models/bpf/jit_emitter.hpp"

namespace rxpool::bpf::jit {

namespace {

bool sets_zero_flag(const Op& op, bool narrow) {
  const auto base = static_cast<OpKind>(static_cast<unsigned>(op.kind) & ~3u);
  const bool is_narrow = (static_cast<unsigned>(op.kind) & 2) != 0;
  return is_narrow == narrow && (base == OpKind::add64_imm || base == OpKind::sub64_imm || base == OpKind::or_64_imm ||
                                 base == OpKind::and_64_imm || base == OpKind::xor_64_imm);
}

bool compares_with_zero(const Op& op) {
  return op.imm == 0 && (op.kind == OpKind::jeq64_imm || op.kind == OpKind::jeq32_imm || op.kind == OpKind::jne64_imm ||
                         op.kind == OpKind::jne32_imm);
}

}  // namespace

std::span<const Op> Emitter::straight(std::uint32_t index, std::uint32_t end) const {
  constexpr std::uint32_t longest = 6;
  std::uint32_t count = 1;
  while (count < longest && index + count < end && !labels_[index + count].isValid()) ++count;
  return std::span(code_.ops).subspan(index, count);
}

std::uint32_t Emitter::fused(std::uint32_t index, std::uint32_t end) {
  const std::span<const Op> ops = straight(index, end);
  if (const std::uint32_t count = array_lookup(ops); count != 0) return count;
  if (ops.size() < 2) return 0;
  const Op& first = ops[0];
  const Op& second = ops[1];
  if (first.kind == OpKind::mov64_reg && second.kind == OpKind::add64_imm && second.dst == first.dst) {
    a_.lea(reg64(first.dst), x86::ptr(reg64(first.src), static_cast<std::int32_t>(second.imm)));
    return 2;
  }
  const bool narrow = second.kind == OpKind::jeq32_imm || second.kind == OpKind::jne32_imm;
  if (compares_with_zero(second) && second.dst == first.dst && sets_zero_flag(first, narrow)) {
    operation(index);
    const bool if_equal = second.kind == OpKind::jeq64_imm || second.kind == OpKind::jeq32_imm;
    if_equal ? a_.jz(label_of(second.target)) : a_.jnz(label_of(second.target));
    return 2;
  }
  return 0;
}

std::uint32_t Emitter::array_lookup(std::span<const Op> ops) {
  const bool with_store = is_keyed_lookup(ops);
  if (!with_store && !is_frame_lookup(ops)) return 0;
  const std::uint32_t call_at = frame_lookup_ops - (with_store ? 0 : 1);
  if (!with_store) {
    const auto offset = static_cast<std::int32_t>(ops[1].imm);
    a_.mov(x86::eax, memory(frame_register, offset, sizeof(std::uint32_t), true));
  } else {
    load_store(ops[0]);
    if (ops[0].kind == OpKind::store32_imm) {
      constant(x86::eax, static_cast<std::uint32_t>(ops[0].imm));
    } else {
      a_.mov(x86::eax, reg32(ops[0].src));
    }
  }
  const Op& call = ops[call_at];
  const Op* const next = ops.size() > call_at + 1 ? &ops[call_at + 1] : nullptr;
  if (next != nullptr && next->kind == OpKind::jeq64_imm && next->dst == 0 && next->imm == 0 && call.zeroed == 0) {
    array_value(call, label_of(next->target));  // what the array has is not NULL
    return call_at + 2;
  }
  const asmjit::Label done = a_.newLabel();
  array_value(call, done);
  a_.bind(done);
  zero(call.zeroed);
  return call_at + 1;
}

}  // namespace rxpool::bpf::jit
