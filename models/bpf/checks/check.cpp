#include "models/bpf/checks/check.hpp"

#include <algorithm>

#include "models/bpf/checks/call_graph.hpp"
#include "models/bpf/checks/dataflow.hpp"
#include "models/bpf/disasm.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

std::string instruction_at(const Program& program, std::uint32_t at) {
  if (at >= program.insns.size()) {
    return "";
  }
  const Insn* next = at + 1 < program.insns.size() ? &program.insns[at + 1] : nullptr;
  return disassemble(program.insns[at], next, at);
}

std::string source_at(const Program& program, std::uint32_t at) {
  const LineInfo* best = nullptr;
  for (const LineInfo& line : program.lines) {
    if (line.insn <= at) {
      best = &line;
    }
  }
  if (best == nullptr) {
    return "";
  }
  const auto begin = best->text.find_first_not_of(" \t");
  return best->file + ":" + std::to_string(best->line) + ": " +
         (begin == std::string::npos ? "" : best->text.substr(begin));
}

[[noreturn]] void refuse(const Object& object, const Program& program, std::uint32_t at, const std::string& what,
                         const std::string& registers) {
  const Refusal refusal{program.name, at, instruction_at(program, at), source_at(program, at), registers, what};
  throw InputError(to_text(refusal, object.label), ExitCode::policy_rejected);
}

// What later steps index with, whatever the object says: functions, registers, maps. The decoder checks encodings in
// full afterwards.
void check_shape(const Object& object, const Program& program) {
  std::uint32_t end = 0;
  for (const Subprogram& function : program.subprograms) {
    if (function.first_insn != end || function.insn_count == 0) {
      refuse(object, program, function.first_insn, "the functions of the program do not lie one behind the other", "");
    }
    end += function.insn_count;
  }
  if (end == 0 || end != program.insns.size()) {
    refuse(object, program, end, "the functions of the program do not cover its instructions", "");
  }
  for (std::uint32_t at = 0; at < program.insns.size(); ++at) {
    const Insn& insn = program.insns[at];
    if (insn.dst >= register_count || insn.src >= register_count) {
      refuse(object, program, at, "there is no register above R10", "");
    }
    const std::uint8_t insn_class = insn.opcode & op::class_mask;
    const bool writes = insn_class == op::alu || insn_class == op::alu64 || insn_class == op::ldx;
    if (insn.dst == frame_register && (writes || insn.opcode == op::lddw)) {
      refuse(object, program, at, "R10 is read-only", "");
    }
    if (insn.opcode != op::lddw) {
      continue;
    }
    const bool map = insn.src == lddw_kind::map || insn.src == lddw_kind::map_value;
    if (map && static_cast<std::uint32_t>(insn.imm) >= object.maps.size()) {
      refuse(object, program, at, "the object has no map " + std::to_string(insn.imm), "");
    }
    if (at + 1 >= program.insns.size()) {
      refuse(object, program, at, "the second half of the instruction is missing", "");
    }
    ++at;
  }
}

void check_program(const Object& object, const Program& program, const HelperTable& helpers,
                   std::vector<std::string>& remarks) {
  check_shape(object, program);
  checks::CallGraph graph;
  if (const auto problem = checks::build_call_graph(program, graph); !problem.what.empty()) {
    refuse(object, program, problem.insn, problem.what, "");
  }
  checks::Dataflow flow(object, program, graph, helpers);
  checks::Complaint complaint;
  if (!flow.run(complaint)) {
    refuse(object, program, complaint.insn, complaint.what, complaint.state.describe());
  }
  if (const auto problem = checks::check_stack(program, graph, flow.stack()); !problem.what.empty()) {
    refuse(object, program, problem.insn, problem.what, "");
  }
  for (const auto& [at, what] : flow.remarks()) {
    remarks.push_back("program " + program.name + ", instruction " + std::to_string(at) + " (" +
                      instruction_at(program, at) + "): " + what + "; only a kernel can tell");
  }
}

}  // namespace

std::string to_text(const Refusal& refusal, const std::string& label) {
  std::string text = label + ": program " + refusal.program + ", instruction " + std::to_string(refusal.insn) + ": " +
                     refusal.instruction + ": " + refusal.what;
  if (!refusal.source.empty()) {
    text += "\n  at " + refusal.source;
  }
  if (!refusal.registers.empty()) {
    text += "\n  with " + refusal.registers;
  }
  return text;
}

std::vector<std::string> check_object(const Object& object, const HelperTable& helpers) {
  std::vector<std::string> remarks;
  for (const Program& program : object.programs) {
    check_program(object, program, helpers, remarks);
  }
  return remarks;
}

}  // namespace rxpool::bpf
