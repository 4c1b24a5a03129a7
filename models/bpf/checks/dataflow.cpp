#include "models/bpf/checks/dataflow.hpp"

#include <linux/bpf.h>

#include <algorithm>
#include <optional>

#include "models/bpf/checks/context_fields.hpp"

namespace rxpool::bpf::checks {
namespace {

constexpr std::size_t max_joins = 65'536;  // each keeps a state of about 2 KiB

std::string name_of(unsigned reg) { return "R" + std::to_string(reg); }

bool is_memory(Kind kind) {
  return kind == Kind::frame || kind == Kind::packet || kind == Kind::packet_meta || kind == Kind::map_value ||
         kind == Kind::memory || kind == Kind::record;
}

// Entries of redirect maps are for looking at (the kernel adds BPF_F_RDONLY_PROG to DEVMAP itself).
bool is_read_only(const MapDefinition& map) {
  return (map.flags & BPF_F_RDONLY_PROG) != 0 || map.type == BPF_MAP_TYPE_DEVMAP ||
         map.type == BPF_MAP_TYPE_DEVMAP_HASH || map.type == BPF_MAP_TYPE_CPUMAP || map.type == BPF_MAP_TYPE_XSKMAP;
}

}  // namespace

Dataflow::Dataflow(const Object& object, const Program& program, const CallGraph& graph, const HelperTable& helpers)
    : object_(object),
      program_(program),
      graph_(graph),
      helpers_(helpers),
      targets_(program.insns.size() + 1),
      entries_(program.subprograms.size()),
      entered_(program.subprograms.size()),
      stack_(program.subprograms.size()) {
  for (std::uint32_t at = 0; at < program.insns.size(); ++at) {
    const Insn& insn = program.insns[at];
    if (is_branch(insn.opcode)) {
      const std::int64_t target = std::int64_t{at} + 1 + branch_distance(insn);
      if (target >= 0 && target < static_cast<std::int64_t>(targets_.size())) {
        targets_[static_cast<std::size_t>(target)] = true;
      }
    }
    at += insn.opcode == op::lddw ? 1 : 0;
  }
  entries_[0].registers[1] = {.kind = Kind::context, .known = true};
  entered_[0] = true;
}

bool Dataflow::run(Complaint& complaint) {
  if (static_cast<std::size_t>(std::count(targets_.begin(), targets_.end(), true)) > max_joins) {
    complaint.what = "more than 65536 jump targets, too many to check";
    return false;
  }
  for (const std::uint32_t function : graph_.order) {
    if (entered_[function]) {
      visit_function(function, complaint);
    }
    if (!complaint.what.empty()) {
      return false;
    }
  }
  return true;
}

// Straight on from each open instruction until the flow joins a state that already covers it.
void Dataflow::visit_function(std::uint32_t index, Complaint& complaint) {
  function_ = index;
  joined_.clear();
  State entry = entries_[index];
  entry.registers[frame_register] = {.kind = Kind::frame, .known = true};
  const Subprogram& function = program_.subprograms[index];
  flow_to(function.first_insn, entry);
  while (!open_.empty()) {
    std::optional<std::uint32_t> at = *open_.begin();
    open_.erase(open_.begin());
    State state = joined_.at(*at);
    while (at) {
      const State before = state;
      try {
        const auto next = step(*at, state);
        if (next && (targets_[*next] || *next >= function.first_insn + function.insn_count)) {
          flow_to(*next, state);
          break;
        }
        at = next;
      } catch (const Wrong& wrong) {
        complaint = {*at, wrong.what, before};
        open_.clear();
        return;
      }
    }
  }
}

void Dataflow::flow_to(std::uint32_t target, const State& state) {
  const Subprogram& function = program_.subprograms[function_];
  if (target < function.first_insn || target - function.first_insn >= function.insn_count) {
    throw Wrong{"control leaves the function " + function.name};
  }
  const auto [place, fresh] = joined_.try_emplace(target, state);
  if (fresh || place->second.join(state)) {
    open_.insert(target);
  }
}

void Dataflow::need_initialised(const State& state, unsigned reg) const {
  if (state.registers[reg].kind == Kind::uninitialised) {
    throw Wrong{name_of(reg) + " is not initialised on every path to here"};
  }
}

// The next instruction in line, or none where the flow ends or has been handed to joined states.
std::optional<std::uint32_t> Dataflow::step(std::uint32_t at, State& state) {
  const Insn& insn = program_.insns[at];
  std::uint32_t next = at + 1;
  switch (insn.opcode & op::class_mask) {
    case op::alu:
    case op::alu64:
      alu(insn, state);
      break;
    case op::ldx:
      load(insn, state, at);
      break;
    case op::st:
    case op::stx:
      if ((insn.opcode & op::mode_mask) == op::atomic) {
        atomic(insn, state, at);
      } else {
        store(insn, state, at);
      }
      break;
    case op::ld:
      if (insn.opcode == op::lddw) {
        load_constant(insn, state);
        next = at + 2;
      } else {
        legacy_load(insn, state);
      }
      break;
    default:
      if (insn.opcode == op::exit_insn) {
        if (function_ == 0) {
          need_initialised(state, 0);
        }
        return std::nullopt;
      }
      if (insn.opcode == op::call_insn) {
        if (insn.src == call_kind::local) {
          call_local(at, state);
        } else {
          call_helper(insn, state, at);
        }
        break;
      }
      if (insn.opcode == op::callx) {
        need_initialised(state, insn.dst);
        for (unsigned reg = 0; reg <= 5; ++reg) {
          state.registers[reg] = {.kind = reg == 0 ? Kind::any : Kind::uninitialised};
        }
        break;
      }
      branch(insn, state, at);
      return std::nullopt;
  }
  return next;
}

void Dataflow::alu(const Insn& insn, State& state) const {
  const std::uint8_t code = insn.opcode & op::code_mask;
  const bool wide = (insn.opcode & op::class_mask) == op::alu64;
  const bool from_register = (insn.opcode & op::reg) != 0;
  Value& target = state.registers[insn.dst];
  const bool unary = code == op::neg || code == op::end;
  if (from_register && !unary) {
    need_initialised(state, insn.src);
  }
  const Value source = from_register ? state.registers[insn.src] : constant(insn.imm);
  if (code == op::mov) {
    // 32-bit and sign-extending moves of a pointer give a number.
    target = wide && insn.offset == 0 ? source : (source.kind == Kind::any ? source : scalar());
    if (!wide && !from_register) {
      target = constant(static_cast<std::uint32_t>(insn.imm));
    }
    return;
  }
  need_initialised(state, insn.dst);
  if (wide && (code == op::add || code == op::sub)) {
    if (is_pointer(target.kind) && target.kind != Kind::any && !is_pointer(source.kind)) {
      target = pointer_plus(target, source, code == op::sub, insn.dst);
      return;
    }
    if (code == op::add && is_pointer(source.kind) && source.kind != Kind::any && !is_pointer(target.kind)) {
      target = pointer_plus(source, target, false, insn.src);
      return;
    }
  }
  target = target.kind == Kind::any || source.kind == Kind::any ? Value{.kind = Kind::any} : scalar();
}

Value Dataflow::pointer_plus(const Value& pointer, const Value& delta, bool subtract, unsigned reg) const {
  if (is_or_null(pointer.kind)) {
    throw Wrong{name_of(reg) + " is " + describe(pointer) + ": arithmetic before the check against NULL"};
  }
  if (pointer.kind == Kind::map || pointer.kind == Kind::function || pointer.kind == Kind::packet_end) {
    throw Wrong{name_of(reg) + " is " + describe(pointer) + ": no arithmetic on it"};
  }
  Value moved = pointer;
  if (pointer.kind == Kind::frame || pointer.kind == Kind::context) {
    moved.known = pointer.known && delta.known;
    moved.number = moved.known ? pointer.number + (subtract ? -delta.number : delta.number) : 0;
  }
  return moved;
}

void Dataflow::touch_frame(const Value& base, std::int64_t offset, unsigned bytes) {
  if (base.kind != Kind::frame || !base.known) {
    return;
  }
  const std::int64_t at = base.number + offset;
  if (at < -static_cast<std::int64_t>(frame_bytes) || at + bytes > 0) {
    throw Wrong{"access to " + std::to_string(bytes) + " bytes at fp" + (at < 0 ? "" : "+") + std::to_string(at) +
                ", expected fp-512 … fp-1"};
  }
  stack_[function_] = std::max(stack_[function_], static_cast<std::uint32_t>(-at));
}

// Offset and width of a context access must be those of a field.
void Dataflow::check_context(const Access& access, Value* loaded) const {
  const std::int64_t at = access.base.number + access.offset;
  if (!access.base.known) {
    throw Wrong{name_of(access.reg) + " is ctx with a variable offset, expected a field of " +
                context_name(program_.hook)};
  }
  for (const ContextField& field : context_fields(program_.hook)) {
    if (field.offset == at && field.size == access.bytes) {
      if (access.write && !field.writable) {
        throw Wrong{"field " + std::string(field.name) + " of " + context_name(program_.hook) + " is read-only"};
      }
      if (loaded != nullptr) {
        *loaded = {.kind = field.loads};
      }
      return;
    }
  }
  throw Wrong{"invalid access to " + std::string(context_name(program_.hook)) + " at offset " + std::to_string(at) +
              ", " + std::to_string(access.bytes) + " bytes: no field there"};
}

void Dataflow::check_access(const Access& access, std::uint32_t at) {
  const Kind kind = access.base.kind;
  if (kind == Kind::uninitialised) {
    throw Wrong{name_of(access.reg) + " is not initialised on every path to here"};
  }
  if (is_or_null(kind)) {
    throw Wrong{name_of(access.reg) + " is " + describe(access.base) + ", expected a pointer checked against NULL"};
  }
  if (kind == Kind::stale_packet) {
    throw Wrong{name_of(access.reg) + " points into the packet as it was before a helper moved it; read ctx->data again"};
  }
  if (kind == Kind::mixed) {
    remark(at, name_of(access.reg) + " is a pointer on some paths only");
    return;
  }
  if (kind == Kind::any) {
    return;
  }
  if (!is_memory(kind)) {
    throw Wrong{name_of(access.reg) + " is " + describe(access.base) + ", expected a pointer to memory"};
  }
  if (access.write && access.base.map != nullptr && is_read_only(*access.base.map)) {
    throw Wrong{"write into " + access.base.map->name + ", which is read-only"};
  }
  touch_frame(access.base, access.offset, access.bytes);
}

Value* Dataflow::slot_of(State& state, const Value& base, std::int64_t offset) const {
  const std::int64_t at = base.number + offset;
  if (base.kind != Kind::frame || !base.known || at < -static_cast<std::int64_t>(frame_bytes) || at >= 0) {
    return nullptr;
  }
  return &state.stack[static_cast<std::size_t>((-at - 1) / 8)];
}

void Dataflow::load(const Insn& insn, State& state, std::uint32_t at) {
  const Value base = state.registers[insn.src];
  const unsigned bytes = access_bytes(insn.opcode);
  const Access access{base, insn.src, insn.offset, bytes, false};
  Value loaded = scalar();
  if (base.kind == Kind::context) {
    check_context(access, &loaded);
  } else {
    check_access(access, at);
    const Value* slot = slot_of(state, base, insn.offset);
    if (slot != nullptr && bytes == 8 && (base.number + insn.offset) % 8 == 0) {
      loaded = slot->kind == Kind::uninitialised ? Value{.kind = Kind::any} : *slot;
    }
    if (base.kind == Kind::frame && !base.known && bytes == 8) {
      loaded = {.kind = Kind::any};
    }
    if ((base.kind == Kind::any || base.kind == Kind::mixed) && bytes == 8) {
      loaded = {.kind = Kind::any};  // perhaps a spilled pointer of the caller
    }
  }
  state.registers[insn.dst] = loaded;
}

// A store into part of a slot leaves a number there.
void Dataflow::store(const Insn& insn, State& state, std::uint32_t at) {
  const bool from_register = (insn.opcode & op::class_mask) == op::stx;
  if (from_register) {
    need_initialised(state, insn.src);
  }
  const Value base = state.registers[insn.dst];
  const unsigned bytes = access_bytes(insn.opcode);
  const Access access{base, insn.dst, insn.offset, bytes, true};
  if (base.kind == Kind::context) {
    check_context(access, nullptr);
    return;
  }
  check_access(access, at);
  const Value value = from_register ? state.registers[insn.src] : constant(insn.imm);
  if (base.kind == Kind::frame && !base.known) {
    for (Value& slot : state.stack) {
      slot = slot.kind == Kind::uninitialised ? slot : join(slot, {.kind = Kind::any});
    }
    return;
  }
  if (Value* slot = slot_of(state, base, insn.offset); slot != nullptr) {
    const bool whole = bytes == 8 && (base.number + insn.offset) % 8 == 0;
    *slot = whole ? value : (slot->kind == Kind::any ? *slot : scalar());
  }
}

void Dataflow::atomic(const Insn& insn, State& state, std::uint32_t at) {
  need_initialised(state, insn.src);
  if (insn.imm == atomic::cmpxchg) {
    need_initialised(state, 0);
  }
  const Value base = state.registers[insn.dst];
  if (base.kind == Kind::context || is_packet(base.kind)) {
    throw Wrong{name_of(insn.dst) + " is " + describe(base) + ": no atomic operation on it"};
  }
  check_access({base, insn.dst, insn.offset, access_bytes(insn.opcode), true}, at);
  if (Value* slot = slot_of(state, base, insn.offset); slot != nullptr) {
    *slot = scalar();
  }
  if (insn.imm == atomic::cmpxchg) {
    state.registers[0] = scalar();
  } else if ((insn.imm & atomic::fetch) != 0) {
    state.registers[insn.src] = scalar();
  }
}

// LD_ABS and LD_IND need the context in R6 and behave like a call.
void Dataflow::legacy_load(const Insn& insn, State& state) const {
  if (state.registers[6].kind != Kind::context) {
    throw Wrong{"R6 is " + describe(state.registers[6]) + ", expected ctx for a legacy packet load"};
  }
  if ((insn.opcode & op::mode_mask) == op::ind) {
    need_initialised(state, insn.src);
  }
  for (unsigned reg = 1; reg <= 5; ++reg) {
    state.registers[reg] = {};
  }
  state.registers[0] = scalar();
}

void Dataflow::load_constant(const Insn& insn, State& state) {
  Value& target = state.registers[insn.dst];
  switch (insn.src) {
    case lddw_kind::map:
      target = {.kind = Kind::map, .map = &object_.maps[static_cast<std::size_t>(insn.imm)]};
      return;
    case lddw_kind::map_value:
      target = {.kind = Kind::map_value, .map = &object_.maps[static_cast<std::size_t>(insn.imm)]};
      return;
    case lddw_kind::function:
      target = {.kind = Kind::function};
      return;
    default:
      target = scalar();
  }
}

void Dataflow::branch(const Insn& insn, State& state, std::uint32_t at) {
  const std::uint8_t code = insn.opcode & op::code_mask;
  const auto target = static_cast<std::uint32_t>(std::int64_t{at} + 1 + branch_distance(insn));
  if (code == op::ja) {
    flow_to(target, state);
    return;
  }
  need_initialised(state, insn.dst);
  const bool from_register = (insn.opcode & op::reg) != 0;
  if (from_register) {
    need_initialised(state, insn.src);
  }
  const Value left = state.registers[insn.dst];
  const Value right = from_register ? state.registers[insn.src] : constant(insn.imm);
  State taken = state;
  const bool against_zero = right.kind == Kind::scalar && right.known && right.number == 0;
  const bool wide = (insn.opcode & op::class_mask) == op::jmp;
  if (is_or_null(left.kind) && against_zero && wide && (code == op::jeq || code == op::jne)) {
    const auto settle = [&](State& where, bool null) {
      const auto refine = [&](Value& value) {
        if (value.kind == left.kind && value.id == left.id) {
          value.kind = null ? Kind::scalar : without_null(value.kind);
          value.known = null;
          value.id = 0;
          value.map = null ? nullptr : value.map;
        }
      };
      std::for_each(where.registers.begin(), where.registers.end(), refine);
      std::for_each(where.stack.begin(), where.stack.end(), refine);
    };
    settle(taken, code == op::jeq);
    settle(state, code == op::jne);
  }
  flow_to(target, taken);
  flow_to(at + 1, state);
}

void Dataflow::forget_slots(State& state, const Value& base, std::int64_t offset, std::uint64_t bytes) const {
  if (base.kind != Kind::frame) {
    return;
  }
  for (std::size_t i = 0; i < state.stack.size(); ++i) {
    const std::int64_t begin = -8 * static_cast<std::int64_t>(i + 1);
    const std::int64_t at = base.number + offset;
    if (!base.known || (begin + 8 > at && begin < at + static_cast<std::int64_t>(bytes))) {
      state.stack[i] = base.known ? scalar() : Value{.kind = Kind::any};
    }
  }
}

}  // namespace rxpool::bpf::checks
