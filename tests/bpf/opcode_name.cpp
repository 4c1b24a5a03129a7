#include "tests/bpf/opcode_name.hpp"

namespace rxpool::bpf::testing {

namespace {

const char* code_name(const Insn& one) {
  const bool is_signed = one.offset == 1;
  switch (one.opcode & op::code_mask) {
    case op::add:
      return "add";
    case op::sub:
      return "sub";
    case op::mul:
      return "mul";
    case op::div:
      return is_signed ? "sdiv" : "div";
    case op::mod:
      return is_signed ? "smod" : "mod";
    case op::or_:
      return "or";
    case op::and_:
      return "and";
    case op::xor_:
      return "xor";
    case op::lsh:
      return "lsh";
    case op::rsh:
      return "rsh";
    case op::arsh:
      return "arsh";
    case op::mov:
      return "mov";
    default:
      return "neg";
  }
}

const char* jump_name(std::uint8_t opcode) {
  switch (opcode & op::code_mask) {
    case op::jeq:
      return "jeq";
    case op::jne:
      return "jne";
    case op::jgt:
      return "jgt";
    case op::jge:
      return "jge";
    case op::jlt:
      return "jlt";
    case op::jle:
      return "jle";
    case op::jset:
      return "jset";
    case op::jsgt:
      return "jsgt";
    case op::jsge:
      return "jsge";
    case op::jslt:
      return "jslt";
    default:
      return "jsle";
  }
}

const char* atomic_name(std::int32_t imm) {
  switch (imm) {
    case atomic::add:
      return "add";
    case atomic::or_:
      return "or";
    case atomic::and_:
      return "and";
    case atomic::xor_:
      return "xor";
    case atomic::add | atomic::fetch:
      return "fetch_add";
    case atomic::or_ | atomic::fetch:
      return "fetch_or";
    case atomic::and_ | atomic::fetch:
      return "fetch_and";
    case atomic::xor_ | atomic::fetch:
      return "fetch_xor";
    case atomic::xchg:
      return "xchg";
    default:
      return "cmpxchg";
  }
}

std::string arithmetic_name(const Insn& one) {
  const bool wide = (one.opcode & op::class_mask) == op::alu64;
  const bool from_register = (one.opcode & op::reg) != 0;
  const std::string width = wide ? "64" : "32";
  const std::uint8_t code = one.opcode & op::code_mask;
  if (code == op::end) {
    return std::string(wide ? "bswap" : from_register ? "be" : "le") + std::to_string(one.imm);
  }
  if (code == op::neg) {
    return "neg" + width;
  }
  if (code == op::mov && one.offset != 0) {
    return "movsx" + std::to_string(one.offset) + "_" + width;
  }
  return code_name(one) + width + (from_register ? "_reg" : "_imm");
}

}  // namespace

std::string opcode_name(const Insn& one) {
  const std::uint8_t cls = one.opcode & op::class_mask;
  const std::string bits = std::to_string(8 * access_bytes(one.opcode));
  const std::uint8_t mode = one.opcode & op::mode_mask;
  switch (cls) {
    case op::alu:
    case op::alu64:
      return arithmetic_name(one);
    case op::ld:
      return one.opcode == op::lddw ? "lddw" : (mode == op::abs ? "ld_abs" : "ld_ind") + bits;
    case op::ldx:
      return (mode == op::memsx ? "ldsx" : "ldx") + bits;
    case op::st:
      return "st" + bits;
    case op::stx:
      return mode == op::atomic ? std::string("atomic_") + atomic_name(one.imm) + bits : "stx" + bits;
    default:
      break;
  }
  switch (one.opcode) {
    case op::ja_insn:
      return "ja";
    case op::gotol:
      return "gotol";
    case op::exit_insn:
      return "exit";
    case op::call_insn:
      return one.src == call_kind::local ? "call_local" : "call_helper";
    default:
      break;
  }
  return std::string(jump_name(one.opcode)) + (cls == op::jmp32 ? "32" : "64") +
         ((one.opcode & op::reg) != 0 ? "_reg" : "_imm");
}

}  // namespace rxpool::bpf::testing
