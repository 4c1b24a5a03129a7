#include "models/bpf/checks/dataflow.hpp"

#include <algorithm>
#include <optional>

namespace rxpool::bpf::checks {
namespace {

constexpr std::size_t max_joins = 65'536;  // each keeps a state of about 2 KiB

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
    throw Wrong{register_name(reg) + " is not initialised on every path to here"};
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
    throw Wrong{register_name(reg) + " is " + describe(pointer) + ": arithmetic before the check against NULL"};
  }
  if (pointer.kind == Kind::map || pointer.kind == Kind::function || pointer.kind == Kind::packet_end) {
    throw Wrong{register_name(reg) + " is " + describe(pointer) + ": no arithmetic on it"};
  }
  Value moved = pointer;
  if (pointer.kind == Kind::frame || pointer.kind == Kind::context) {
    moved.known = pointer.known && delta.known;
    moved.number = moved.known ? pointer.number + (subtract ? -delta.number : delta.number) : 0;
  }
  return moved;
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

}  // namespace rxpool::bpf::checks
