#pragma once
// The eBPF instruction set of RFC 9669 (v1 to v4): the 8-byte instruction and its fields. Only encodings live here;
// what an instruction does is in the decoder (decoded.hpp) and the engines, what the kernel would refuse in checks/.

#include <cstdint>

namespace rxpool::bpf {

/// One slot of bytecode as it stands in an object file (little endian). LDDW takes two slots.
struct Insn {
  std::uint8_t opcode = 0;
  std::uint8_t dst : 4 = 0;
  std::uint8_t src : 4 = 0;
  std::int16_t offset = 0;
  std::int32_t imm = 0;

  bool operator==(const Insn&) const = default;
};
static_assert(sizeof(Insn) == 8);

constexpr unsigned register_count = 11;
constexpr unsigned frame_register = 10;
constexpr unsigned frame_bytes = 512;    // MAX_BPF_STACK
constexpr unsigned max_call_depth = 8;   // MAX_CALL_FRAMES
constexpr unsigned max_tail_calls = 33;  // MAX_TAIL_CALL_CNT
constexpr unsigned max_insns = 1'000'000;

namespace op {
// Instruction class, opcode bits 0-2.
constexpr std::uint8_t class_mask = 0x07;
constexpr std::uint8_t ld = 0x00, ldx = 0x01, st = 0x02, stx = 0x03, alu = 0x04, jmp = 0x05, jmp32 = 0x06, alu64 = 0x07;
// Source operand, bit 3 of ALU and JMP classes.
constexpr std::uint8_t imm = 0x00, reg = 0x08;
// ALU operation, bits 4-7.
constexpr std::uint8_t code_mask = 0xf0;
constexpr std::uint8_t add = 0x00, sub = 0x10, mul = 0x20, div = 0x30, or_ = 0x40, and_ = 0x50, lsh = 0x60, rsh = 0x70,
                       neg = 0x80, mod = 0x90, xor_ = 0xa0, mov = 0xb0, arsh = 0xc0, end = 0xd0;
// Jump operation, bits 4-7.
constexpr std::uint8_t ja = 0x00, jeq = 0x10, jgt = 0x20, jge = 0x30, jset = 0x40, jne = 0x50, jsgt = 0x60, jsge = 0x70,
                       call = 0x80, exit = 0x90, jlt = 0xa0, jle = 0xb0, jslt = 0xc0, jsle = 0xd0;
// Size, bits 3-4 of load and store classes.
constexpr std::uint8_t size_mask = 0x18;
constexpr std::uint8_t w = 0x00, h = 0x08, b = 0x10, dw = 0x18;
// Mode, bits 5-7 of load and store classes.
constexpr std::uint8_t mode_mask = 0xe0;
constexpr std::uint8_t mode_imm = 0x00, abs = 0x20, ind = 0x40, mem = 0x60, memsx = 0x80, atomic = 0xc0;
// Whole opcodes with a name of their own.
constexpr std::uint8_t lddw = 0x18, exit_insn = 0x95, call_insn = 0x85, callx = 0x8d, ja_insn = 0x05, gotol = 0x06;
}  // namespace op

namespace atomic {
constexpr std::int32_t fetch = 0x01;
constexpr std::int32_t add = 0x00, or_ = 0x40, and_ = 0x50, xor_ = 0xa0;
constexpr std::int32_t xchg = 0xe1, cmpxchg = 0xf1;
}  // namespace atomic

/// Meaning of the src field of CALL.
namespace call_kind {
constexpr std::uint8_t helper = 0, local = 1, kfunc = 2;
}

/// Meaning of the src field of LDDW.
namespace lddw_kind {
constexpr std::uint8_t constant = 0, map = 1, map_value = 2, function = 4;
}

/// Bytes that a load or store of this size field touches.
constexpr unsigned access_bytes(std::uint8_t opcode) {
  switch (opcode & op::size_mask) {
    case op::b:
      return 1;
    case op::h:
      return 2;
    case op::w:
      return 4;
    default:
      return 8;
  }
}

constexpr bool is_jump_class(std::uint8_t opcode) {
  return (opcode & op::class_mask) == op::jmp || (opcode & op::class_mask) == op::jmp32;
}

/// True for an instruction that may go elsewhere than to the next slot: conditional jumps, JA and gotol, not CALL or
/// EXIT.
constexpr bool is_branch(std::uint8_t opcode) {
  const std::uint8_t code = opcode & op::code_mask;
  return is_jump_class(opcode) && code != op::call && code != op::exit;
}

/// Distance of a branch in slots, counted from the slot after it.
constexpr std::int32_t branch_distance(const Insn& insn) {
  return insn.opcode == op::gotol ? insn.imm : insn.offset;
}

}  // namespace rxpool::bpf
