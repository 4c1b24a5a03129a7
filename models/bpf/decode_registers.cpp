// Two passes over the registers of decoded code, both conservative. Forward: which registers are known to hold no upper
// half, so that compiled code can use them as addresses as they are. Backward: which registers are read after a call
// that leaves them undefined, or at the entry; those read as zero, the others cost nothing.
#include <algorithm>

#include "models/bpf/decoded.hpp"

namespace rxpool::bpf {

namespace {

using Registers = std::uint16_t;
constexpr Registers all_registers = 0x7ff;
constexpr Registers arguments = 0x3e;  // r1 to r5
/// Facts travel over one backward jump a round; a program that needs more rounds gets the conservative answer.
constexpr unsigned max_rounds = 32;
constexpr Registers bit(unsigned number) {
  return static_cast<Registers>(1u << number);
}
constexpr Registers without(Registers set, Registers removed) {
  return static_cast<Registers>(set & ~removed);
}
constexpr Registers with(Registers set, Registers added) {
  return static_cast<Registers>(set | added);
}

struct Uses {
  Registers reads = 0;
  Registers writes = 0;
};

bool is_call(OpKind kind) {
  return kind >= OpKind::call_helper && kind <= OpKind::tail_call;
}
bool falls_through(OpKind kind) {
  return kind != OpKind::ja && kind != OpKind::account_ja && kind != OpKind::account_ja_check && kind != OpKind::exit;
}
bool jumps(OpKind kind) {
  return (kind >= OpKind::jeq64_imm && kind <= OpKind::jset32_reg) || kind == OpKind::ja ||
         kind == OpKind::account_ja || kind == OpKind::account_ja_check;
}

Registers argument_registers(const Helper& helper) {
  Registers set = 0;
  for (unsigned i = 0; i < 5; ++i) {
    set = helper.args[i] == ArgKind::none ? set : with(set, bit(i + 1));
  }
  return set;
}

Uses uses_of(const Op& op) {
  const Registers dst = bit(op.dst);
  const Registers src = bit(op.src);
  const auto kind = op.kind;
  if (kind < OpKind::jeq64_imm) {  // ALU
    const bool from_register = (static_cast<unsigned>(kind) & 1) != 0;
    const bool is_mov = kind >= OpKind::mov64_imm;
    return {static_cast<Registers>((is_mov ? 0 : dst) | (from_register ? src : 0)), dst};
  }
  if (kind <= OpKind::jset32_reg) {
    const bool from_register = ((static_cast<unsigned>(kind) - static_cast<unsigned>(OpKind::jeq64_imm)) & 1) != 0;
    return {static_cast<Registers>(dst | (from_register ? src : 0)), 0};
  }
  if (kind <= OpKind::bswap64) {
    return {src, dst};
  }
  if (kind <= OpKind::loads32) {
    return {src, dst};
  }
  if (kind <= OpKind::store64_imm) {
    return {dst, 0};
  }
  if (kind <= OpKind::store64_reg) {
    return {with(dst, src), 0};
  }
  switch (kind) {
    case OpKind::cmpxchg32:
    case OpKind::cmpxchg64:
      return {static_cast<Registers>(dst | src | bit(0)), bit(0)};
    case OpKind::load_packet8:
    case OpKind::load_packet16:
    case OpKind::load_packet32:
      return {static_cast<Registers>(bit(6) | (op.dst != 0 ? src : 0)), with(bit(0), arguments)};
    case OpKind::lddw:
      return {0, dst};
    case OpKind::call_helper:
      return {argument_registers(*op.site->helper), with(bit(0), arguments)};
    case OpKind::call_array:
    case OpKind::call_lookup:
      return {bit(2), with(bit(0), arguments)};
    case OpKind::call_ktime:
    case OpKind::call_cpu:
    case OpKind::call_numa:
      return {0, with(bit(0), arguments)};
    case OpKind::call_local:
      return {all_registers, with(bit(0), arguments)};
    case OpKind::call_register:
      return {with(arguments, src), with(bit(0), arguments)};
    case OpKind::tail_call:
      return {0x0e, with(bit(0), arguments)};
    case OpKind::exit:
      return {bit(0), 0};
    case OpKind::ja:
    case OpKind::account:
    case OpKind::account_check:
    case OpKind::account_ja:
    case OpKind::account_ja_check:
      return {};
    default:
      break;  // atomics
  }
  const bool fetches = kind == OpKind::xchg32 || kind == OpKind::xchg64 ||
                       ((static_cast<unsigned>(kind) - static_cast<unsigned>(OpKind::atomic_add32)) & 2) != 0;
  return {with(dst, src), fetches ? src : Registers{0}};
}

/// Registers without an upper half after `op`, given those before it.
Registers narrow_after(const Op& op, Registers before) {
  const auto kind = op.kind;
  const bool src_narrow = (before & bit(op.src)) != 0;
  const bool dst_narrow = (before & bit(op.dst)) != 0;
  bool narrow = false;
  if (kind < OpKind::jeq64_imm) {
    const unsigned form = static_cast<unsigned>(kind) & 3;
    switch (static_cast<OpKind>(static_cast<unsigned>(kind) - form)) {
      case OpKind::mov64_imm:
        narrow = form == 0 ? op.imm >= 0 && op.imm >> 32 == 0 : src_narrow;
        break;
      case OpKind::and_64_imm:
        narrow = dst_narrow || (form == 0 ? op.imm >= 0 : src_narrow);
        break;
      case OpKind::or_64_imm:
      case OpKind::xor_64_imm:
        narrow = dst_narrow && (form == 0 ? op.imm >= 0 : src_narrow);
        break;
      case OpKind::rsh64_imm:
        narrow = dst_narrow || (form == 0 && op.imm >= 32);
        break;
      case OpKind::div64_imm:
      case OpKind::mod64_imm:
        narrow = dst_narrow;
        break;
      default:
        break;
    }
    narrow = narrow || form >= 2;
    return narrow ? with(before, bit(op.dst)) : without(before, bit(op.dst));
  }
  const Registers written = uses_of(op).writes;
  Registers after = without(before, written);
  switch (kind) {
    case OpKind::neg32:
    case OpKind::sext8_32:
    case OpKind::sext16_32:
    case OpKind::zext16:
    case OpKind::zext32:
    case OpKind::bswap16:
    case OpKind::bswap32:
    case OpKind::load8:
    case OpKind::load16:
    case OpKind::load32:
      return with(after, bit(op.dst));
    case OpKind::lddw:
      return static_cast<std::uint64_t>(op.imm) >> 32 == 0 ? with(after, bit(op.dst)) : after;
    case OpKind::fetch_add32:
    case OpKind::fetch_or_32:
    case OpKind::fetch_and_32:
    case OpKind::fetch_xor_32:
    case OpKind::xchg32:
      return with(after, bit(op.src));
    case OpKind::cmpxchg32:
      return with(after, bit(0));
    case OpKind::load_packet8:
    case OpKind::load_packet16:
    case OpKind::load_packet32:
    case OpKind::call_array:
    case OpKind::call_lookup:
    case OpKind::call_cpu:
    case OpKind::call_numa:
      return with(after, with(bit(0), arguments));
    default:
      break;
  }
  return is_call(kind) ? with(after, arguments) : after;
}

bool touches_memory(OpKind kind) {
  return kind >= OpKind::load8 && kind <= OpKind::cmpxchg64;
}

bool address_in_src(OpKind kind) {
  return kind <= OpKind::loads32;
}

void find_narrow_addresses(Decoded& code, const Function& function) {
  const std::uint32_t count = function.end_op - function.first_op;
  std::vector<Registers> before(count, all_registers);
  before[0] = with(bit(frame_register), function.first_insn == 0 && !function.referenced ? bit(1) : Registers{0});
  bool changed = true;
  for (unsigned round = 0; changed; ++round) {
    if (round == max_rounds) {
      return;
    }
    changed = false;
    Registers running = before[0];
    bool reached = true;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Op& op = code.ops[function.first_op + i];
      if (reached) {
        before[i] &= running;
      }
      running = narrow_after(op, before[i]);
      reached = falls_through(op.kind);
      if (jumps(op.kind)) {
        Registers& there = before[op.target - function.first_op];
        const Registers merged = there & running;
        // Only a jump back to what was passed already asks for another round.
        changed = changed || (merged != there && op.target <= function.first_op + i);
        there = merged;
      }
    }
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    Op& op = code.ops[function.first_op + i];
    if (touches_memory(op.kind)) {
      op.address_is_offset = (before[i] & bit(address_in_src(op.kind) ? op.src : op.dst)) != 0;
    }
    if (op.kind == OpKind::call_array || op.kind == OpKind::call_lookup) {
      op.address_is_offset = (before[i] & bit(2)) != 0;
    }
  }
}

void find_zeroed(Decoded& code, Function& function) {
  const std::uint32_t count = function.end_op - function.first_op;
  std::vector<Registers> live(count + 1, 0);
  bool changed = true;
  for (unsigned round = 0; changed; ++round) {
    if (round == max_rounds) {
      std::fill(live.begin(), live.end(), all_registers);
      break;
    }
    changed = false;
    for (std::uint32_t i = count; i-- > 0;) {
      const Op& op = code.ops[function.first_op + i];
      Registers after = falls_through(op.kind) ? live[i + 1] : Registers{0};
      if (jumps(op.kind)) {
        after = with(after, live[op.target - function.first_op]);
      }
      const Uses uses = uses_of(op);
      const Registers before = with(without(after, uses.writes), uses.reads);
      if (before != live[i]) {
        live[i] = before;
        changed = true;
      }
    }
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    Op& op = code.ops[function.first_op + i];
    if (is_call(op.kind) || (op.kind >= OpKind::load_packet8 && op.kind <= OpKind::load_packet32)) {
      op.zeroed = live[i + 1] & arguments;
    }
  }
  function.zeroed = without(live[0], bit(frame_register));
}

}  // namespace

void analyse_registers(Decoded& code) {
  for (Function& function : code.functions) {
    find_narrow_addresses(code, function);
    find_zeroed(code, function);
  }
}

}  // namespace rxpool::bpf
