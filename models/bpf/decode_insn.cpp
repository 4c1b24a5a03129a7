#include "models/bpf/decode_insn.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace rxpool::bpf {

namespace {

OpKind shifted(OpKind first, unsigned by) {
  return static_cast<OpKind>(static_cast<unsigned>(first) + by);
}

/// First of the four forms (64 immediate, 64 register, 32 immediate, 32 register) of an ALU or jump code.
OpKind alu_base(const Insn& insn) {
  const bool is_signed = insn.offset == 1;
  switch (insn.opcode & op::code_mask) {
    case op::add:
      return OpKind::add64_imm;
    case op::sub:
      return OpKind::sub64_imm;
    case op::mul:
      return OpKind::mul64_imm;
    case op::div:
      return is_signed ? OpKind::sdiv64_imm : OpKind::div64_imm;
    case op::mod:
      return is_signed ? OpKind::smod64_imm : OpKind::mod64_imm;
    case op::or_:
      return OpKind::or_64_imm;
    case op::and_:
      return OpKind::and_64_imm;
    case op::xor_:
      return OpKind::xor_64_imm;
    case op::lsh:
      return OpKind::lsh64_imm;
    case op::rsh:
      return OpKind::rsh64_imm;
    case op::arsh:
      return OpKind::arsh64_imm;
    default:
      return OpKind::mov64_imm;
  }
}

OpKind jump_base(std::uint8_t code) {
  switch (code) {
    case op::jeq:
      return OpKind::jeq64_imm;
    case op::jne:
      return OpKind::jne64_imm;
    case op::jgt:
      return OpKind::jgt64_imm;
    case op::jge:
      return OpKind::jge64_imm;
    case op::jlt:
      return OpKind::jlt64_imm;
    case op::jle:
      return OpKind::jle64_imm;
    case op::jsgt:
      return OpKind::jsgt64_imm;
    case op::jsge:
      return OpKind::jsge64_imm;
    case op::jslt:
      return OpKind::jslt64_imm;
    case op::jsle:
      return OpKind::jsle64_imm;
    default:
      return OpKind::jset64_imm;
  }
}

unsigned form(bool narrow, bool from_register) {
  return (narrow ? 2u : 0u) + (from_register ? 1u : 0u);
}

/// Position of a size among (8, 16, 32, 64).
unsigned size_index(std::uint8_t opcode) {
  switch (access_bytes(opcode)) {
    case 1:
      return 0;
    case 2:
      return 1;
    case 4:
      return 2;
    default:
      return 3;
  }
}

/// Division and modulo by an immediate that has a simpler meaning (RFC 9669: x / 0 = 0, x % 0 = x).
std::optional<Op> constant_division(Op op, std::uint8_t code, bool is_signed, bool narrow) {
  if (op.imm == 0 && code == op::div) {
    op.kind = OpKind::mov64_imm;
    return op;
  }
  if (op.imm == 0) {
    if (!narrow) {
      return std::nullopt;
    }
    op.kind = OpKind::zext32;
    op.src = op.dst;
    return op;
  }
  if (is_signed && op.imm == -1) {
    if (code == op::div) {
      op.kind = narrow ? OpKind::neg32 : OpKind::neg64;
      op.src = op.dst;
    } else {
      op.kind = OpKind::mov64_imm;
      op.imm = 0;
    }
  }
  return op;
}

std::optional<Op> byte_swap(const Insn& insn, Op op) {
  const bool to_little = (insn.opcode & op::class_mask) == op::alu && (insn.opcode & op::reg) == 0;
  op.src = op.dst;
  switch (insn.imm) {
    case 16:
      op.kind = to_little ? OpKind::zext16 : OpKind::bswap16;
      return op;
    case 32:
      op.kind = to_little ? OpKind::zext32 : OpKind::bswap32;
      return op;
    default:
      op.kind = OpKind::bswap64;
      return to_little ? std::nullopt : std::optional<Op>(op);
  }
}

}  // namespace

std::uint32_t function_at(const Decoded& code, std::uint32_t program, std::uint32_t insn) {
  const auto place = std::lower_bound(code.functions.begin() + code.program_entry[program], code.functions.end(), insn,
                                      [&](const Function& function, std::uint32_t at) {
                                        return function.program == program && function.first_insn < at;
                                      });
  return static_cast<std::uint32_t>(place - code.functions.begin());
}

std::optional<Op> InsnDecoder::decode(std::uint32_t index) {
  const Insn& insn = program.insns[index];
  std::optional<Op> op;
  switch (insn.opcode & op::class_mask) {
    case op::alu:
    case op::alu64:
      op = alu(insn);
      break;
    case op::jmp:
    case op::jmp32:
      op = is_branch(insn.opcode) ? branch(insn) : call(insn, index);
      break;
    case op::ld:
    case op::ldx:
      op = load(insn, index);
      break;
    default:
      op = (insn.opcode & op::mode_mask) == op::atomic ? atomic_op(insn) : store(insn);
      break;
  }
  track_r1(insn);
  if (op.has_value()) {
    op->insn = index;
  }
  return op;
}

std::optional<Op> InsnDecoder::alu(const Insn& insn) const {
  const bool narrow = (insn.opcode & op::class_mask) == op::alu;
  const bool from_register = (insn.opcode & op::reg) != 0;
  const std::uint8_t code_bits = insn.opcode & op::code_mask;
  Op op{.dst = insn.dst, .src = insn.src, .imm = insn.imm};
  if (code_bits == op::end) {
    return byte_swap(insn, op);
  }
  if (code_bits == op::neg) {
    op.kind = narrow ? OpKind::neg32 : OpKind::neg64;
    op.src = op.dst;
    return op;
  }
  if (code_bits == op::mov && from_register && insn.offset != 0) {
    const OpKind first = narrow ? OpKind::sext8_32 : OpKind::sext8_64;
    op.kind = shifted(first, insn.offset == 8 ? 0 : insn.offset == 16 ? 1 : 2);
    return op;
  }
  op.kind = shifted(alu_base(insn), form(narrow, from_register));
  if (from_register) {
    return op;
  }
  if (code_bits == op::lsh || code_bits == op::rsh || code_bits == op::arsh) {
    op.imm &= narrow ? 31 : 63;
  }
  if (narrow) {
    op.imm = code_bits == op::mov ? static_cast<std::int64_t>(static_cast<std::uint32_t>(op.imm)) : op.imm;
  }
  if (code_bits == op::div || code_bits == op::mod) {
    return constant_division(op, code_bits, insn.offset == 1, narrow);
  }
  return op;
}

Op InsnDecoder::branch(const Insn& insn) const {
  const bool narrow = (insn.opcode & op::class_mask) == op::jmp32;
  const std::uint8_t code_bits = insn.opcode & op::code_mask;
  if (code_bits == op::ja) {
    return {.kind = OpKind::ja};
  }
  return {.kind = shifted(jump_base(code_bits), form(narrow, (insn.opcode & op::reg) != 0)),
          .dst = insn.dst,
          .src = insn.src,
          .imm = insn.imm};
}

Op InsnDecoder::call(const Insn& insn, std::uint32_t index) {
  if (insn.opcode == op::exit_insn) {
    return {.kind = OpKind::exit};
  }
  if (insn.opcode == op::callx) {
    return {.kind = OpKind::call_register, .src = insn.dst};
  }
  if (insn.src == call_kind::local) {
    return {.kind = OpKind::call_local,
            .target = function_at(code, program_index, index + 1 + static_cast<std::uint32_t>(insn.imm))};
  }
  const Helper* helper = helpers.find(static_cast<std::uint32_t>(insn.imm));
  const bool is_kfunc = insn.src == call_kind::kfunc;
  if (helper == nullptr || (static_cast<std::uint32_t>(insn.imm) >= kfunc_base) != is_kfunc) {
    reject(program, index, std::string("unknown ") + (is_kfunc ? "kfunc " : "helper ") + std::to_string(insn.imm));
  }
  if (helper->fn == nullptr && helper->intrinsic == Intrinsic::none) {
    reject(program, index, helper->name + " is not available here");
  }
  code.sites.push_back({.helper = helper, .fn = helper->fn});
  CallSite& site = code.sites.back();
  Op op{.kind = OpKind::call_helper, .site = &site};
  switch (helper->intrinsic) {
    case Intrinsic::ktime_ns:
      op.kind = OpKind::call_ktime;
      break;
    case Intrinsic::cpu_id:
      op.kind = OpKind::call_cpu;
      break;
    case Intrinsic::numa_node:
      op.kind = OpKind::call_numa;
      break;
    case Intrinsic::tail_call:
      op.kind = OpKind::tail_call;
      break;
    case Intrinsic::map_lookup:
      if (r1_map >= 0) {
        site.map = maps[static_cast<std::size_t>(r1_map)];
        site.lookup = site.map->lookup_fn();
        if (const ArrayLayout* layout = site.map->array_layout()) {
          site.array = *layout;
          op.kind = OpKind::call_array;
        } else if (site.lookup != nullptr) {
          op.kind = OpKind::call_lookup;
        }
      }
      break;
    case Intrinsic::none:
      break;
  }
  return op;
}

Op InsnDecoder::load(const Insn& insn, std::uint32_t index) const {
  if (insn.opcode == op::lddw) {
    return long_immediate(insn, index);
  }
  const std::uint8_t mode = insn.opcode & op::mode_mask;
  if (mode == op::abs || mode == op::ind) {
    // dst 1: the register in src is added to the position.
    return {.kind = shifted(OpKind::load_packet8, size_index(insn.opcode)),
            .dst = static_cast<std::uint8_t>(mode == op::ind ? 1 : 0),
            .src = insn.src,
            .imm = insn.imm};
  }
  const OpKind first = mode == op::memsx ? OpKind::loads8 : OpKind::load8;
  return {.kind = shifted(first, size_index(insn.opcode)), .dst = insn.dst, .src = insn.src, .offset = insn.offset};
}

Op InsnDecoder::store(const Insn& insn) const {
  const bool from_register = (insn.opcode & op::class_mask) == op::stx;
  return {.kind = shifted(from_register ? OpKind::store8_reg : OpKind::store8_imm, size_index(insn.opcode)),
          .dst = insn.dst,
          .src = insn.src,
          .offset = insn.offset,
          .imm = insn.imm};
}

Op InsnDecoder::atomic_op(const Insn& insn) const {
  const bool is_double = (insn.opcode & op::size_mask) == op::dw;
  Op op{.dst = insn.dst, .src = insn.src, .offset = insn.offset};
  if (insn.imm == atomic::xchg || insn.imm == atomic::cmpxchg) {
    op.kind = shifted(insn.imm == atomic::xchg ? OpKind::xchg32 : OpKind::cmpxchg32, is_double ? 1 : 0);
    return op;
  }
  OpKind first = OpKind::atomic_add32;
  switch (insn.imm & ~atomic::fetch) {
    case atomic::or_:
      first = OpKind::atomic_or_32;
      break;
    case atomic::and_:
      first = OpKind::atomic_and_32;
      break;
    case atomic::xor_:
      first = OpKind::atomic_xor_32;
      break;
    default:
      break;
  }
  op.kind = shifted(first, ((insn.imm & atomic::fetch) != 0 ? 2u : 0u) + (is_double ? 1u : 0u));
  return op;
}

Op InsnDecoder::long_immediate(const Insn& insn, std::uint32_t index) const {
  Op op{.kind = OpKind::lddw, .dst = insn.dst};
  const auto low = static_cast<std::uint32_t>(insn.imm);
  switch (insn.src) {
    case lddw_kind::map:
      if (low >= maps.size() || low >= max_maps) {
        reject(program, index, "the object has no map " + std::to_string(insn.imm));
      }
      op.imm = static_cast<std::int64_t>(map_handle(low));
      break;
    case lddw_kind::function:
      op.imm = static_cast<std::int64_t>(function_handle(function_at(code, program_index, low)));
      break;
    default:
      op.imm = static_cast<std::int64_t>(std::uint64_t{static_cast<std::uint32_t>(program.insns[index + 1].imm)} << 32 |
                                         low);
      break;
  }
  return op;
}

void InsnDecoder::track_r1(const Insn& insn) {
  const std::uint8_t cls = insn.opcode & op::class_mask;
  if (insn.opcode == op::lddw && insn.dst == 1) {
    r1_map = insn.src == lddw_kind::map ? insn.imm : -1;
  } else if (cls == op::alu || cls == op::alu64 || cls == op::ldx) {
    r1_map = insn.dst == 1 ? -1 : r1_map;
  } else if (cls == op::stx && (insn.opcode & op::mode_mask) == op::atomic) {
    r1_map = insn.src == 1 ? -1 : r1_map;
  } else if (insn.opcode == op::call_insn || insn.opcode == op::callx || (cls == op::ld && insn.opcode != op::lddw)) {
    r1_map = -1;
  }
}

}  // namespace rxpool::bpf
