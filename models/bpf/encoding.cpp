// Encodings of RFC 9669: which opcodes exist and which of their fields must be zero.
#include <string>

#include "models/bpf/decoded.hpp"
#include "models/bpf/disasm.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {

void reject(const Program& program, std::uint32_t index, const std::string& what) {
  std::string text = "policy: program '" + program.name + "', instruction " + std::to_string(index);
  if (index < program.insns.size()) {
    const Insn* next = index + 1 < program.insns.size() ? &program.insns[index + 1] : nullptr;
    text += " (" + disassemble(program.insns[index], next, index) + ")";
  }
  throw InputError(text + ": " + what, ExitCode::policy_rejected);
}

namespace {

enum Field : unsigned { dst_field = 1, src_field = 2, offset_field = 4, imm_field = 8 };

/// The first field of `insn` that is set although not listed in `used`, or nullptr.
const char* reserved_field(const Insn& insn, unsigned used) {
  if ((used & dst_field) == 0 && insn.dst != 0) {
    return "dst";
  }
  if ((used & src_field) == 0 && insn.src != 0) {
    return "src";
  }
  if ((used & offset_field) == 0 && insn.offset != 0) {
    return "offset";
  }
  if ((used & imm_field) == 0 && insn.imm != 0) {
    return "imm";
  }
  return nullptr;
}

struct Verdict {
  unsigned used = 0;
  bool writes_dst = false;
  const char* problem = nullptr;
};

constexpr const char* no_such = "no such instruction";

Verdict alu_verdict(const Insn& insn) {
  const bool wide = (insn.opcode & op::class_mask) == op::alu64;
  const bool from_register = (insn.opcode & op::reg) != 0;
  const unsigned operand = from_register ? src_field : imm_field;
  switch (insn.opcode & op::code_mask) {
    case op::add:
    case op::sub:
    case op::mul:
    case op::or_:
    case op::and_:
    case op::xor_:
    case op::lsh:
    case op::rsh:
    case op::arsh:
      return {dst_field | operand, true, nullptr};
    case op::div:
    case op::mod:
      return {dst_field | operand | offset_field, true,
              insn.offset == 0 || insn.offset == 1 ? nullptr : "the offset of a division is 0 or 1 (signed)"};
    case op::neg:
      return {dst_field, true, from_register ? no_such : nullptr};
    case op::mov: {
      const bool extends = insn.offset == 8 || insn.offset == 16 || (insn.offset == 32 && wide);
      const bool known = insn.offset == 0 || (from_register && extends);
      return {dst_field | operand | offset_field, true, known ? nullptr : "no sign extension of this width"};
    }
    case op::end: {
      const bool known = insn.imm == 16 || insn.imm == 32 || insn.imm == 64;
      return {dst_field | imm_field, true,
              wide && from_register ? no_such
              : known               ? nullptr
                                    : "the width of a byte swap is 16, 32 or 64"};
    }
    default:
      return {0, false, no_such};
  }
}

Verdict jump_verdict(const Insn& insn) {
  const bool narrow = (insn.opcode & op::class_mask) == op::jmp32;
  const bool from_register = (insn.opcode & op::reg) != 0;
  switch (insn.opcode & op::code_mask) {
    case op::ja:
      return {narrow ? imm_field : offset_field, false, from_register ? no_such : nullptr};
    case op::call:
      if (narrow) {
        return {0, false, no_such};
      }
      if (from_register) {
        return {dst_field, false, nullptr};
      }
      return {src_field | imm_field, false, insn.src <= call_kind::kfunc ? nullptr : "no such kind of call"};
    case op::exit:
      return {0, false, narrow || from_register ? no_such : nullptr};
    case op::jeq:
    case op::jne:
    case op::jgt:
    case op::jge:
    case op::jlt:
    case op::jle:
    case op::jset:
    case op::jsgt:
    case op::jsge:
    case op::jslt:
    case op::jsle:
      return {dst_field | offset_field | (from_register ? src_field : imm_field), false, nullptr};
    default:
      return {0, false, no_such};
  }
}

Verdict lddw_verdict(const Insn& insn, const Insn* next) {
  if (next == nullptr || next->opcode != 0 || next->dst != 0 || next->src != 0 || next->offset != 0) {
    return {0, false, "the second half of the 64-bit load is missing or has other fields than imm set"};
  }
  const bool known = insn.src == lddw_kind::constant || insn.src == lddw_kind::map || insn.src == lddw_kind::function;
  if (known && insn.src != lddw_kind::constant && next->imm != 0) {
    return {0, false, "reserved field imm of the second half is not zero"};
  }
  return {dst_field | src_field | imm_field, true, known ? nullptr : "no such kind of 64-bit load here"};
}

Verdict load_verdict(const Insn& insn, const Insn* next) {
  const std::uint8_t mode = insn.opcode & op::mode_mask;
  const bool is_double = (insn.opcode & op::size_mask) == op::dw;
  switch (insn.opcode & op::class_mask) {
    case op::ld:
      if (insn.opcode == op::lddw) {
        return lddw_verdict(insn, next);
      }
      if (mode == op::abs && !is_double) {
        return {imm_field, false, nullptr};
      }
      return {src_field | imm_field, false, mode == op::ind && !is_double ? nullptr : no_such};
    case op::ldx:
      return {dst_field | src_field | offset_field, true,
              mode == op::mem || (mode == op::memsx && !is_double) ? nullptr : no_such};
    case op::st:
      return {dst_field | offset_field | imm_field, false, mode == op::mem ? nullptr : no_such};
    default:
      break;
  }
  if (mode == op::mem) {
    return {dst_field | src_field | offset_field, false, nullptr};
  }
  const bool whole = (insn.opcode & op::size_mask) == op::w || is_double;
  if (mode != op::atomic || !whole) {
    return {0, false, no_such};
  }
  const std::int32_t plain = insn.imm & ~atomic::fetch;
  const bool known = plain == atomic::add || plain == atomic::or_ || plain == atomic::and_ || plain == atomic::xor_ ||
                     insn.imm == atomic::xchg || insn.imm == atomic::cmpxchg;
  return {dst_field | src_field | offset_field | imm_field, false, known ? nullptr : "no such atomic operation"};
}

}  // namespace

void check_encoding(const Insn& insn, const Insn* next, const Program& program, std::uint32_t index) {
  Verdict verdict;
  switch (insn.opcode & op::class_mask) {
    case op::alu:
    case op::alu64:
      verdict = alu_verdict(insn);
      break;
    case op::jmp:
    case op::jmp32:
      verdict = jump_verdict(insn);
      break;
    default:
      verdict = load_verdict(insn, next);
      break;
  }
  if (verdict.problem != nullptr) {
    reject(program, index, verdict.problem);
  }
  if (insn.dst >= register_count || insn.src >= register_count) {
    reject(program, index, "registers are r0 to r10");
  }
  if (const char* field = reserved_field(insn, verdict.used)) {
    reject(program, index, std::string("reserved field ") + field + " is not zero");
  }
  const bool atomic_fetch = (insn.opcode & op::class_mask) == op::stx && (insn.opcode & op::mode_mask) == op::atomic &&
                            (insn.imm & atomic::fetch) != 0 && insn.imm != atomic::cmpxchg;
  if ((verdict.writes_dst && insn.dst == frame_register) || (atomic_fetch && insn.src == frame_register)) {
    reject(program, index, "r10 is read-only");
  }
}

}  // namespace rxpool::bpf
