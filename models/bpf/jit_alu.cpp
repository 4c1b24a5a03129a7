// Templates of arithmetic, byte swaps and conditional jumps.
#include "models/bpf/jit_emitter.hpp"

namespace rxpool::bpf::jit {

void Emitter::alu(const Op& op, OpKind base, unsigned form) {
  const bool narrow = form >= 2;
  const bool from_register = (form & 1) != 0;
  const x86::Gp dst = sized(reg64(op.dst), narrow);
  const x86::Gp src = sized(reg64(op.src), narrow);
  const asmjit::Imm imm(static_cast<std::int32_t>(op.imm));
  switch (base) {
    case OpKind::add64_imm:
      from_register ? a_.add(dst, src) : a_.add(dst, imm);
      return;
    case OpKind::sub64_imm:
      from_register ? a_.sub(dst, src) : a_.sub(dst, imm);
      return;
    case OpKind::or_64_imm:
      from_register ? a_.or_(dst, src) : a_.or_(dst, imm);
      return;
    case OpKind::and_64_imm:
      from_register ? a_.and_(dst, src) : a_.and_(dst, imm);
      return;
    case OpKind::xor_64_imm:
      from_register ? a_.xor_(dst, src) : a_.xor_(dst, imm);
      return;
    case OpKind::mul64_imm:
      from_register ? a_.imul(dst, src) : a_.imul(dst, dst, imm);
      return;
    case OpKind::mov64_imm:
      if (from_register) {
        a_.mov(dst, src);
      } else {
        constant(dst, narrow ? static_cast<std::uint32_t>(op.imm) : static_cast<std::uint64_t>(op.imm));
      }
      return;
    case OpKind::lsh64_imm:
    case OpKind::rsh64_imm:
    case OpKind::arsh64_imm:
      break;
    default:
      division(op, base, form);
      return;
  }
  if (from_register) {
    return shift_by_register(op, base, narrow);
  }
  if (op.imm == 0) {
    a_.mov(dst, dst);  // 32 bits: clears the upper half
    return;
  }
  switch (base) {
    case OpKind::lsh64_imm:
      a_.shl(dst, imm);
      return;
    case OpKind::rsh64_imm:
      a_.shr(dst, imm);
      return;
    default:
      a_.sar(dst, imm);
      return;
  }
}

void Emitter::shift_by_register(const Op& op, OpKind base, bool narrow) {
  // The count must be in cl; rcx is r3.
  const bool dst_is_rcx = reg64(op.dst) == x86::rcx;
  const bool src_is_rcx = reg64(op.src) == x86::rcx;
  x86::Gp target = reg64(op.dst);
  if (dst_is_rcx || !src_is_rcx) {
    a_.mov(x86::r10, x86::rcx);
    target = dst_is_rcx ? x86::Gp(x86::r10) : target;
  }
  if (!src_is_rcx) {
    a_.mov(x86::ecx, reg32(op.src));
  }
  target = sized(target, narrow);
  switch (base) {
    case OpKind::lsh64_imm:
      a_.shl(target, x86::cl);
      break;
    case OpKind::rsh64_imm:
      a_.shr(target, x86::cl);
      break;
    default:
      a_.sar(target, x86::cl);
      break;
  }
  if (dst_is_rcx || !src_is_rcx) {
    a_.mov(x86::rcx, x86::r10);
  }
}

void Emitter::division(const Op& op, OpKind base, unsigned form) {
  const bool narrow = form >= 2;
  const bool from_register = (form & 1) != 0;
  const bool is_signed = base == OpKind::sdiv64_imm || base == OpKind::smod64_imm;
  const bool modulo = base == OpKind::mod64_imm || base == OpKind::smod64_imm;
  const x86::Gp dst = sized(reg64(op.dst), narrow);
  const auto divisor_bits = narrow ? static_cast<std::uint32_t>(op.imm) : static_cast<std::uint64_t>(op.imm);
  const bool power_of_two = (divisor_bits & (divisor_bits - 1)) == 0;
  if (!from_register && !is_signed && power_of_two && divisor_bits < (std::uint64_t{1} << 31)) {
    const auto log2 = static_cast<unsigned>(__builtin_ctzll(divisor_bits));
    if (modulo) {
      a_.and_(dst, static_cast<std::int32_t>(divisor_bits - 1));
    } else if (log2 != 0) {
      a_.shr(dst, log2);
    } else {
      a_.mov(dst, dst);
    }
    return;
  }
  const x86::Gp divisor = sized(x86::rdi, narrow);
  const x86::Gp low = sized(x86::rax, narrow);
  const x86::Gp high = sized(x86::rdx, narrow);
  const asmjit::Label done = a_.newLabel();
  if (from_register) {
    const asmjit::Label by_zero = a_.newLabel();
    a_.mov(divisor, sized(reg64(op.src), narrow));
    a_.test(divisor, divisor);
    a_.jz(by_zero);
    cold([this, by_zero, done, dst, modulo] {
      a_.bind(by_zero);
      modulo ? a_.mov(dst, dst) : a_.xor_(dst.r32(), dst.r32());
      a_.jmp(done);
    });
  } else {
    constant(divisor, divisor_bits);
  }
  if (is_signed && from_register) {
    const asmjit::Label by_minus_one = a_.newLabel();
    a_.cmp(divisor, -1);
    a_.je(by_minus_one);
    cold([this, by_minus_one, done, dst, modulo] {
      a_.bind(by_minus_one);
      modulo ? a_.xor_(dst.r32(), dst.r32()) : a_.neg(dst);
      a_.jmp(done);
    });
  }
  const bool keep_low = dst.r64() != x86::rax;
  const bool keep_high = dst.r64() != x86::rdx;
  if (keep_low) {
    a_.mov(x86::r10, x86::rax);
    a_.mov(low, dst);
  }
  if (keep_high) {
    a_.mov(x86::r11, x86::rdx);
  }
  if (is_signed) {
    narrow ? a_.cdq() : a_.cqo();
    a_.idiv(divisor);
  } else {
    a_.xor_(x86::edx, x86::edx);
    a_.div(divisor);
  }
  a_.mov(dst, modulo ? high : low);
  if (keep_low) {
    a_.mov(x86::rax, x86::r10);
  }
  if (keep_high) {
    a_.mov(x86::rdx, x86::r11);
  }
  a_.bind(done);
}

void Emitter::unary(const Op& op) {
  const x86::Gp dst = reg64(op.dst);
  const x86::Gp src = reg64(op.src);
  if (op.src != op.dst && (op.kind == OpKind::neg64 || op.kind == OpKind::neg32 || op.kind >= OpKind::bswap16)) {
    a_.mov(dst, src);
  }
  switch (op.kind) {
    case OpKind::neg64:
      a_.neg(dst);
      return;
    case OpKind::neg32:
      a_.neg(dst.r32());
      return;
    case OpKind::sext8_64:
      a_.movsx(dst, src.r8());
      return;
    case OpKind::sext16_64:
      a_.movsx(dst, src.r16());
      return;
    case OpKind::sext32_64:
      a_.movsxd(dst, src.r32());
      return;
    case OpKind::sext8_32:
      a_.movsx(dst.r32(), src.r8());
      return;
    case OpKind::sext16_32:
      a_.movsx(dst.r32(), src.r16());
      return;
    case OpKind::zext16:
      a_.movzx(dst.r32(), src.r16());
      return;
    case OpKind::zext32:
      a_.mov(dst.r32(), src.r32());
      return;
    case OpKind::bswap16:
      a_.rol(dst.r16(), 8);
      a_.movzx(dst.r32(), dst.r16());
      return;
    case OpKind::bswap32:
      a_.bswap(dst.r32());
      return;
    default:
      a_.bswap(dst);
      return;
  }
}

void Emitter::condition(const Op& op, OpKind base, unsigned form) {
  const bool narrow = form >= 2;
  const bool from_register = (form & 1) != 0;
  const x86::Gp dst = sized(reg64(op.dst), narrow);
  const x86::Gp src = sized(reg64(op.src), narrow);
  const asmjit::Label target = label_of(op.target);
  const asmjit::Imm imm(static_cast<std::int32_t>(op.imm));
  if (base == OpKind::jset64_imm) {
    from_register ? a_.test(dst, src) : a_.test(dst, imm);
    a_.jnz(target);
    return;
  }
  if (from_register) {
    a_.cmp(dst, src);
  } else if (op.imm == 0) {
    a_.test(dst, dst);
  } else {
    a_.cmp(dst, imm);
  }
  switch (base) {
    case OpKind::jeq64_imm:
      a_.je(target);
      return;
    case OpKind::jne64_imm:
      a_.jne(target);
      return;
    case OpKind::jgt64_imm:
      a_.ja(target);
      return;
    case OpKind::jge64_imm:
      a_.jae(target);
      return;
    case OpKind::jlt64_imm:
      a_.jb(target);
      return;
    case OpKind::jle64_imm:
      a_.jbe(target);
      return;
    case OpKind::jsgt64_imm:
      a_.jg(target);
      return;
    case OpKind::jsge64_imm:
      a_.jge(target);
      return;
    case OpKind::jslt64_imm:
      a_.jl(target);
      return;
    default:
      a_.jle(target);
      return;
  }
}

}  // namespace rxpool::bpf::jit
