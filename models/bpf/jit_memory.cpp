// Templates of loads, stores and read-modify-writes. One thread runs a box, so none of these is locked.
#include "models/bpf/jit_emitter.hpp"

namespace rxpool::bpf::jit {

void Emitter::load_store(const Op& op) {
  const bool is_load = op.kind <= OpKind::loads32;
  static constexpr unsigned widths[] = {1, 2, 4, 8};
  unsigned bytes = 0;
  if (op.kind >= OpKind::loads8 && op.kind <= OpKind::loads32) {
    bytes = widths[static_cast<unsigned>(op.kind) - static_cast<unsigned>(OpKind::loads8)];
  } else if (is_load) {
    bytes = widths[static_cast<unsigned>(op.kind) - static_cast<unsigned>(OpKind::load8)];
  } else {
    bytes = widths[(static_cast<unsigned>(op.kind) - static_cast<unsigned>(OpKind::store8_imm)) & 3];
  }
  const x86::Mem place = memory(is_load ? op.src : op.dst, op.offset, bytes, op.address_is_offset);
  const x86::Gp dst = reg64(op.dst);
  const x86::Gp src = reg64(op.src);
  const asmjit::Imm imm(static_cast<std::int32_t>(op.imm));
  switch (op.kind) {
    case OpKind::load8:
    case OpKind::load16:
      a_.movzx(dst.r32(), place);
      return;
    case OpKind::load32:
      a_.mov(dst.r32(), place);
      return;
    case OpKind::load64:
      a_.mov(dst, place);
      return;
    case OpKind::loads8:
    case OpKind::loads16:
      a_.movsx(dst, place);
      return;
    case OpKind::loads32:
      a_.movsxd(dst, place);
      return;
    case OpKind::store8_imm:
      a_.mov(place, static_cast<std::int8_t>(op.imm));
      return;
    case OpKind::store16_imm:
      a_.mov(place, static_cast<std::int16_t>(op.imm));
      return;
    case OpKind::store32_imm:
    case OpKind::store64_imm:
      a_.mov(place, imm);
      return;
    case OpKind::store8_reg:
      a_.mov(place, src.r8());
      return;
    case OpKind::store16_reg:
      a_.mov(place, src.r16());
      return;
    case OpKind::store32_reg:
      a_.mov(place, src.r32());
      return;
    default:
      a_.mov(place, src);
      return;
  }
}

void Emitter::atomic(const Op& op) {
  const unsigned number = static_cast<unsigned>(op.kind) - static_cast<unsigned>(OpKind::atomic_add32);
  const auto plain = static_cast<OpKind>(static_cast<unsigned>(op.kind) - (number & 3));
  const bool narrow = (number & 1) == 0;
  if ((number & 2) != 0) {
    return fetch(op, plain, narrow);
  }
  const x86::Mem place = memory(op.dst, op.offset, narrow ? 4 : 8, op.address_is_offset);
  const x86::Gp src = sized(reg64(op.src), narrow);
  switch (plain) {
    case OpKind::atomic_add32:
      a_.add(place, src);
      return;
    case OpKind::atomic_or_32:
      a_.or_(place, src);
      return;
    case OpKind::atomic_and_32:
      a_.and_(place, src);
      return;
    default:
      a_.xor_(place, src);
      return;
  }
}

void Emitter::fetch(const Op& op, OpKind plain, bool narrow) {
  const x86::Mem place = memory(op.dst, op.offset, narrow ? 4 : 8, op.address_is_offset);
  const x86::Gp src = sized(reg64(op.src), narrow);
  const x86::Gp old = sized(x86::r10, narrow);
  const x86::Gp changed = sized(x86::rdi, narrow);
  a_.mov(old, place);
  a_.mov(changed, old);
  switch (plain) {
    case OpKind::atomic_add32:
      a_.add(changed, src);
      break;
    case OpKind::atomic_or_32:
      a_.or_(changed, src);
      break;
    case OpKind::atomic_and_32:
      a_.and_(changed, src);
      break;
    default:
      a_.xor_(changed, src);
      break;
  }
  a_.mov(place, changed);
  a_.mov(reg64(op.src), x86::r10);
}

void Emitter::exchange(const Op& op) {
  const bool narrow = op.kind == OpKind::xchg32 || op.kind == OpKind::cmpxchg32;
  const bool compares = op.kind == OpKind::cmpxchg32 || op.kind == OpKind::cmpxchg64;
  const x86::Mem place = memory(op.dst, op.offset, narrow ? 4 : 8, op.address_is_offset);
  const x86::Gp old = sized(x86::r10, narrow);
  const x86::Gp changed = sized(x86::rdi, narrow);
  a_.mov(old, place);
  a_.mov(changed, sized(reg64(op.src), narrow));
  if (compares) {
    a_.cmp(old, sized(x86::rax, narrow));
    a_.cmovne(changed, old);
  }
  a_.mov(place, changed);
  a_.mov(compares ? x86::Gp(x86::rax) : reg64(op.src), x86::r10);
}

}  // namespace rxpool::bpf::jit
