#include "models/bpf/disasm.hpp"

#include <algorithm>

namespace rxpool::bpf {

namespace {

std::string reg(unsigned number, bool narrow = false) {
  return (narrow ? "w" : "r") + std::to_string(number);
}

std::string hex(std::uint64_t value) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), digits[value & 15]);
    value >>= 4;
  } while (value != 0);
  return "0x" + text;
}

const char* unsigned_type(std::uint8_t opcode) {
  switch (opcode & op::size_mask) {
    case op::b:
      return "u8";
    case op::h:
      return "u16";
    case op::w:
      return "u32";
    default:
      return "u64";
  }
}

std::string memory(const char* type, unsigned base, std::int16_t offset) {
  const int distance = offset < 0 ? -int{offset} : int{offset};
  return std::string("*(") + type + " *)(" + reg(base) + (offset < 0 ? " - " : " + ") + std::to_string(distance) + ")";
}

const char* alu_symbol(const Insn& insn) {
  const bool is_signed = insn.offset == 1;
  switch (insn.opcode & op::code_mask) {
    case op::add:
      return "+=";
    case op::sub:
      return "-=";
    case op::mul:
      return "*=";
    case op::div:
      return is_signed ? "s/=" : "/=";
    case op::mod:
      return is_signed ? "s%=" : "%=";
    case op::or_:
      return "|=";
    case op::and_:
      return "&=";
    case op::xor_:
      return "^=";
    case op::lsh:
      return "<<=";
    case op::rsh:
      return ">>=";
    case op::arsh:
      return "s>>=";
    case op::mov:
      return "=";
    default:
      return nullptr;
  }
}

std::string alu_text(const Insn& insn) {
  const bool narrow = (insn.opcode & op::class_mask) == op::alu;
  const bool from_register = (insn.opcode & op::reg) != 0;
  const std::string dst = reg(insn.dst, narrow);
  const std::uint8_t code = insn.opcode & op::code_mask;
  if (code == op::neg) {
    return dst + " = -" + dst;
  }
  if (code == op::end) {
    const char* name = !narrow ? "bswap" : from_register ? "be" : "le";
    return reg(insn.dst) + " = " + name + std::to_string(insn.imm) + " " + reg(insn.dst);
  }
  const char* symbol = alu_symbol(insn);
  if (symbol == nullptr) {
    return "";
  }
  std::string operand = from_register ? reg(insn.src, narrow) : std::to_string(insn.imm);
  if (code == op::mov && from_register && insn.offset != 0) {
    operand = "(s" + std::to_string(insn.offset) + ")" + operand;
  }
  return dst + " " + symbol + " " + operand;
}

const char* condition_symbol(std::uint8_t code) {
  switch (code) {
    case op::jeq:
      return "==";
    case op::jne:
      return "!=";
    case op::jgt:
      return ">";
    case op::jge:
      return ">=";
    case op::jlt:
      return "<";
    case op::jle:
      return "<=";
    case op::jset:
      return "&";
    case op::jsgt:
      return "s>";
    case op::jsge:
      return "s>=";
    case op::jslt:
      return "s<";
    case op::jsle:
      return "s<=";
    default:
      return nullptr;
  }
}

std::string jump_text(const Insn& insn, std::uint32_t index) {
  const bool narrow = (insn.opcode & op::class_mask) == op::jmp32;
  const std::string target = std::to_string(std::int64_t{index} + 1 + branch_distance(insn));
  const std::uint8_t code = insn.opcode & op::code_mask;
  if (code == op::ja) {
    return (narrow ? "gotol " : "goto ") + target;
  }
  if (insn.opcode == op::exit_insn) {
    return "exit";
  }
  if (insn.opcode == op::callx) {
    return "callx " + reg(insn.dst);
  }
  if (insn.opcode == op::call_insn) {
    if (insn.src == call_kind::local) {
      return "call pc" + std::string(insn.imm < 0 ? "" : "+") + std::to_string(insn.imm) + "  ; " +
             std::to_string(std::int64_t{index} + 1 + insn.imm);
    }
    return (insn.src == call_kind::kfunc ? "call kfunc#" : "call #") + std::to_string(insn.imm);
  }
  const char* symbol = condition_symbol(code);
  if (symbol == nullptr) {
    return "";
  }
  const std::string operand = (insn.opcode & op::reg) != 0 ? reg(insn.src, narrow) : std::to_string(insn.imm);
  return "if " + reg(insn.dst, narrow) + " " + symbol + " " + operand + " goto " + target;
}

std::string atomic_text(const Insn& insn) {
  const char* type = (insn.opcode & op::size_mask) == op::w ? "u32" : "u64";
  const std::string place = memory(type, insn.dst, insn.offset);
  const std::string src = reg(insn.src);
  if (insn.imm == atomic::xchg) {
    return src + " = xchg(" + place + ", " + src + ")";
  }
  if (insn.imm == atomic::cmpxchg) {
    return "r0 = cmpxchg(" + place + ", r0, " + src + ")";
  }
  const char* symbol = nullptr;
  switch (insn.imm & ~atomic::fetch) {
    case atomic::add:
      symbol = "+=";
      break;
    case atomic::or_:
      symbol = "|=";
      break;
    case atomic::and_:
      symbol = "&=";
      break;
    case atomic::xor_:
      symbol = "^=";
      break;
    default:
      return "";
  }
  const std::string change = "lock " + place + " " + symbol + " " + src;
  return (insn.imm & atomic::fetch) != 0 ? src + " = fetch(" + change + ")" : change;
}

std::string load_store_text(const Insn& insn, const Insn* next) {
  const std::uint8_t mode = insn.opcode & op::mode_mask;
  const char* type = unsigned_type(insn.opcode);
  switch (insn.opcode & op::class_mask) {
    case op::ldx:
      if (mode == op::mem) {
        return reg(insn.dst) + " = " + memory(type, insn.src, insn.offset);
      }
      if (mode == op::memsx) {
        return reg(insn.dst) + " = " + memory((std::string("s") + (type + 1)).c_str(), insn.src, insn.offset);
      }
      return "";
    case op::st:
      return mode == op::mem ? memory(type, insn.dst, insn.offset) + " = " + std::to_string(insn.imm) : "";
    case op::stx:
      if (mode == op::atomic) {
        return atomic_text(insn);
      }
      return mode == op::mem ? memory(type, insn.dst, insn.offset) + " = " + reg(insn.src) : "";
    default:
      break;
  }
  if (insn.opcode == op::lddw) {
    const std::uint64_t low = static_cast<std::uint32_t>(insn.imm);
    const std::uint64_t high = next != nullptr ? static_cast<std::uint32_t>(next->imm) : 0;
    switch (insn.src) {
      case lddw_kind::map:
        return reg(insn.dst) + " = map[" + std::to_string(insn.imm) + "]";
      case lddw_kind::map_value:
        return reg(insn.dst) + " = map[" + std::to_string(insn.imm) + "] + " + std::to_string(high);
      case lddw_kind::function:
        return reg(insn.dst) + " = func[" + std::to_string(insn.imm) + "]";
      default:
        return reg(insn.dst) + " = " + hex(high << 32 | low) + " ll";
    }
  }
  if (mode == op::abs) {
    return std::string("r0 = *(") + type + " *)skb[" + std::to_string(insn.imm) + "]";
  }
  if (mode == op::ind) {
    return std::string("r0 = *(") + type + " *)skb[" + reg(insn.src) + " + " + std::to_string(insn.imm) + "]";
  }
  return "";
}

}  // namespace

std::string disassemble(const Insn& insn, const Insn* next, std::uint32_t index) {
  std::string text;
  switch (insn.opcode & op::class_mask) {
    case op::alu:
    case op::alu64:
      text = alu_text(insn);
      break;
    case op::jmp:
    case op::jmp32:
      text = jump_text(insn, index);
      break;
    default:
      text = load_store_text(insn, next);
      break;
  }
  return text.empty() ? "(unknown opcode " + hex(insn.opcode) + ")" : text;
}

std::string disassemble_around(const Program& program, std::uint32_t index, std::uint32_t around) {
  const std::uint32_t size = static_cast<std::uint32_t>(program.insns.size());
  const std::uint32_t begin = index < around ? 0 : index - around;
  const std::uint32_t end = std::min(size, index + around + 1);
  auto line = std::lower_bound(program.lines.begin(), program.lines.end(), begin,
                               [](const LineInfo& entry, std::uint32_t at) { return entry.insn < at; });
  std::string text;
  for (std::uint32_t i = 0; i < end; ++i) {
    const bool wide = program.insns[i].opcode == op::lddw && i + 1 < size;
    if (i >= begin) {
      for (; line != program.lines.end() && line->insn <= i; ++line) {
        text += "    ; " + line->text + " @ " + line->file + ":" + std::to_string(line->line) + "\n";
      }
      const std::string number = std::to_string(i);
      text += (i == index ? "-> " : "   ") + std::string(number.size() < 5 ? 5 - number.size() : 0, ' ') + number +
              ": " + disassemble(program.insns[i], wide ? &program.insns[i + 1] : nullptr, i) + "\n";
    }
    i += wide ? 1 : 0;
  }
  return text;
}

}  // namespace rxpool::bpf
