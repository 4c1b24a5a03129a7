// Loads and stores in the dataflow pass: which memory, at which offset, and what a stack slot holds afterwards.

#include <linux/bpf.h>

#include <algorithm>

#include "models/bpf/checks/context_fields.hpp"
#include "models/bpf/checks/dataflow.hpp"
#include "models/bpf/map.hpp"

namespace rxpool::bpf::checks {
namespace {

// Entries of redirect maps are for looking at (the kernel adds BPF_F_RDONLY_PROG to DEVMAP itself).
bool is_read_only(const MapDefinition& map) {
  return (map.flags & BPF_F_RDONLY_PROG) != 0 || is_redirect_map(static_cast<MapType>(map.type));
}

}  // namespace

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
    throw Wrong{register_name(access.reg) + " is ctx with a variable offset, expected a field of " +
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
    throw Wrong{register_name(access.reg) + " is not initialised on every path to here"};
  }
  if (is_or_null(kind)) {
    throw Wrong{register_name(access.reg) + " is " + describe(access.base) +
                ", expected a pointer checked against NULL"};
  }
  if (kind == Kind::stale_packet) {
    throw Wrong{register_name(access.reg) +
                " points into the packet as it was before a helper moved it; read ctx->data again"};
  }
  if (kind == Kind::mixed) {
    remark(at, register_name(access.reg) + " is a pointer on some paths only");
    return;
  }
  if (kind == Kind::any) {
    return;
  }
  if (!is_memory(kind)) {
    throw Wrong{register_name(access.reg) + " is " + describe(access.base) + ", expected a pointer to memory"};
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
    throw Wrong{register_name(insn.dst) + " is " + describe(base) + ": no atomic operation on it"};
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
