// From bytecode to operations: functions, instructions one by one, then the layout of cost over the control flow.
#include <algorithm>
#include <string>

#include "models/bpf/decode_cost.hpp"
#include "models/bpf/decode_insn.hpp"
#include "models/bpf/decoded.hpp"

namespace rxpool::bpf {

namespace {

bool wide(const Program& program, std::uint32_t index) {
  return program.insns[index].opcode == op::lddw;
}

/// First instructions of the program's functions, sorted: the entry, targets of local calls and of callbacks.
std::vector<std::uint32_t> function_starts(const Program& program) {
  const std::uint32_t size = static_cast<std::uint32_t>(program.insns.size());
  if (size == 0) {
    reject(program, 0, "the program is empty");
  }
  if (size > max_insns) {
    reject(program, 0, "more than " + std::to_string(max_insns) + " instructions");
  }
  std::vector<bool> second_half(size, false);
  std::vector<std::uint32_t> starts{0};
  for (std::uint32_t i = 0; i < size; ++i) {
    const Insn& insn = program.insns[i];
    check_encoding(insn, i + 1 < size ? &program.insns[i + 1] : nullptr, program, i);
    std::int64_t target = -1;
    if (insn.opcode == op::call_insn && insn.src == call_kind::local) {
      target = std::int64_t{i} + 1 + insn.imm;
    } else if (insn.opcode == op::lddw && insn.src == lddw_kind::function) {
      target = insn.imm;
    } else {
      if (wide(program, i)) {
        second_half[++i] = true;
      }
      continue;
    }
    if (target < 0 || target >= size) {
      reject(program, i, "the function called is outside the program");
    }
    starts.push_back(static_cast<std::uint32_t>(target));
    if (wide(program, i)) {
      second_half[++i] = true;
    }
  }
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  for (const std::uint32_t start : starts) {
    if (second_half[start]) {
      reject(program, start, "a function starts in the middle of a 64-bit load");
    }
  }
  return starts;
}

void mark_referenced(Decoded& code, const Program& program, std::uint32_t program_index) {
  for (std::uint32_t i = 0; i < program.insns.size(); ++i) {
    const Insn& insn = program.insns[i];
    const bool call = insn.opcode == op::call_insn && insn.src == call_kind::local;
    const bool reference = insn.opcode == op::lddw && insn.src == lddw_kind::function;
    if (call || reference) {
      const std::uint32_t target =
          call ? i + 1 + static_cast<std::uint32_t>(insn.imm) : static_cast<std::uint32_t>(insn.imm);
      code.functions[function_at(code, program_index, target)].referenced = true;
    }
    i += wide(program, i) ? 1 : 0;
  }
}

}  // namespace

const Function& Decoded::function_of(std::uint32_t op) const {
  const auto after =
      std::upper_bound(functions.begin(), functions.end(), op,
                       [](std::uint32_t at, const Function& function) { return at < function.first_op; });
  return *std::prev(after);
}

Decoded decode(std::span<const Program> programs, std::span<Map* const> maps, const HelperTable& helpers) {
  Decoded code;
  std::vector<std::uint32_t> ends;
  for (std::uint32_t p = 0; p < programs.size(); ++p) {
    const std::vector<std::uint32_t> starts = function_starts(programs[p]);
    code.program_entry.push_back(static_cast<std::uint32_t>(code.functions.size()));
    for (std::size_t s = 0; s < starts.size(); ++s) {
      code.functions.push_back({.program = p, .first_insn = starts[s]});
      ends.push_back(s + 1 < starts.size() ? starts[s + 1] : static_cast<std::uint32_t>(programs[p].insns.size()));
    }
    mark_referenced(code, programs[p], p);
  }
  for (std::uint32_t f = 0; f < code.functions.size(); ++f) {
    const Program& program = programs[code.functions[f].program];
    const FunctionBody body(program, code.functions[f].first_insn, ends[f], helpers);
    InsnDecoder decoder{code, program, code.functions[f].program, maps, helpers};
    code.functions[f].first_op = static_cast<std::uint32_t>(code.ops.size());
    emit_function(body, decoder, code);
    code.functions[f].end_op = static_cast<std::uint32_t>(code.ops.size());
  }
  analyse_registers(code);
  return code;
}

}  // namespace rxpool::bpf
