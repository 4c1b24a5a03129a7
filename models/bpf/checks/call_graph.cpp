#include "models/bpf/checks/call_graph.hpp"

#include <algorithm>
#include <string>

namespace rxpool::bpf::checks {
namespace {

constexpr std::uint32_t stack_granule = 32;  // the kernel rounds a frame up to it

bool ends_flow(const Insn& insn) {
  return insn.opcode == op::exit_insn || insn.opcode == op::ja_insn || insn.opcode == op::gotol;
}

Problem find_calls(const Program& program, std::uint32_t index, CallGraph& graph) {
  const Subprogram& function = program.subprograms[index];
  const auto end = function.first_insn + function.insn_count;
  for (std::uint32_t at = function.first_insn; at < end; ++at) {
    const Insn& insn = program.insns[at];
    const bool address = insn.opcode == op::lddw && insn.src == lddw_kind::function;
    const bool call = insn.opcode == op::call_insn && insn.src == call_kind::local;
    if (address || call) {
      const std::int64_t target = address ? insn.imm : std::int64_t{at} + 1 + insn.imm;
      const std::int32_t callee = CallGraph::function_at(program, target);
      if (callee < 0) {
        return {at, "the target is not the start of a function"};
      }
      graph.calls[index].push_back({at, static_cast<std::uint32_t>(callee), address});
    }
    at += insn.opcode == op::lddw ? 1 : 0;
  }
  return {};
}

std::uint32_t rounded(std::uint32_t bytes) {
  return (std::max(bytes, 1U) + stack_granule - 1) / stack_granule * stack_granule;
}

// Depth-first order without recursion; false and the call that closes a cycle if there is one.
bool order_functions(const CallGraph& graph, std::vector<std::uint32_t>& callees_first, std::uint32_t& cycle_at) {
  enum : std::uint8_t { fresh, open, done };
  std::vector<std::uint8_t> marks(graph.calls.size(), fresh);
  for (std::uint32_t root = 0; root < graph.calls.size(); ++root) {
    if (marks[root] != fresh) {
      continue;
    }
    std::vector<std::pair<std::uint32_t, std::size_t>> path{{root, 0}};
    marks[root] = open;
    while (!path.empty()) {
      auto& [function, next] = path.back();
      if (next == graph.calls[function].size()) {
        marks[function] = done;
        callees_first.push_back(function);
        path.pop_back();
        continue;
      }
      const CallSite& site = graph.calls[function][next++];
      if (marks[site.callee] == open) {
        cycle_at = site.insn;
        return false;
      }
      if (marks[site.callee] == fresh) {
        marks[site.callee] = open;
        path.emplace_back(site.callee, 0);
      }
    }
  }
  return true;
}

}  // namespace

std::int32_t CallGraph::function_at(const Program& program, std::int64_t insn) {
  const auto& functions = program.subprograms;  // in the order of their first instructions
  const auto found =
      std::lower_bound(functions.begin(), functions.end(), insn,
                       [](const Subprogram& f, std::int64_t at) { return std::int64_t{f.first_insn} < at; });
  return found != functions.end() && found->first_insn == insn ? static_cast<std::int32_t>(found - functions.begin())
                                                               : -1;
}

std::vector<bool> reachable(const Program& program, const Subprogram& function) {
  std::vector<bool> seen(function.insn_count);
  std::vector<std::uint32_t> open{function.first_insn};
  const auto visit = [&](std::int64_t target) {
    const std::int64_t inside = target - function.first_insn;
    if (inside >= 0 && inside < function.insn_count && !seen[static_cast<std::size_t>(inside)]) {
      open.push_back(static_cast<std::uint32_t>(target));
    }
  };
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    if (seen[at - function.first_insn]) {
      continue;
    }
    seen[at - function.first_insn] = true;
    const Insn& insn = program.insns[at];
    const bool wide = insn.opcode == op::lddw;
    if (wide && at + 1 < function.first_insn + function.insn_count) {
      seen[at + 1 - function.first_insn] = true;
    }
    if (is_branch(insn.opcode)) {
      visit(std::int64_t{at} + 1 + branch_distance(insn));
    }
    if (!ends_flow(insn)) {
      visit(std::int64_t{at} + (wide ? 2 : 1));
    }
  }
  return seen;
}

Problem build_call_graph(const Program& program, CallGraph& graph) {
  graph.calls.assign(program.subprograms.size(), {});
  for (std::uint32_t i = 0; i < program.subprograms.size(); ++i) {
    if (Problem problem = find_calls(program, i, graph); !problem.what.empty()) {
      return problem;
    }
  }
  std::uint32_t cycle_at = 0;
  std::vector<std::uint32_t> callees_first;
  if (!order_functions(graph, callees_first, cycle_at)) {
    return {cycle_at, "recursion: the function is already on the call chain, and BPF has no recursion"};
  }
  graph.order.assign(callees_first.rbegin(), callees_first.rend());
  std::vector<std::uint32_t> frames(graph.calls.size(), 1);
  for (const std::uint32_t function : callees_first) {
    for (const CallSite& site : graph.calls[function]) {
      frames[function] = std::max(frames[function], frames[site.callee] + 1);
      if (frames[function] > max_call_depth) {
        return {site.insn,
                "the chain of calls from here is " + std::to_string(frames[function]) + " frames deep, at most 8"};
      }
    }
  }
  for (const Subprogram& function : program.subprograms) {
    const auto seen = reachable(program, function);
    const auto dead = std::find(seen.begin(), seen.end(), false);
    if (dead != seen.end()) {
      return {function.first_insn + static_cast<std::uint32_t>(dead - seen.begin()), "unreachable instruction"};
    }
  }
  return {};
}

Problem check_stack(const Program& program, const CallGraph& graph, const std::vector<std::uint32_t>& stack) {
  std::vector<std::uint32_t> below(stack.size());
  for (auto function = graph.order.rbegin(); function != graph.order.rend(); ++function) {
    std::uint32_t deepest = 0;
    for (const CallSite& site : graph.calls[*function]) {
      deepest = std::max(deepest, below[site.callee]);
    }
    below[*function] = rounded(stack[*function]) + deepest;
    if (below[*function] > frame_bytes) {
      return {program.subprograms[*function].first_insn, "the stack of " + program.subprograms[*function].name +
                                                             " and of what it calls is " +
                                                             std::to_string(below[*function]) + " bytes, at most 512"};
    }
  }
  return {};
}

}  // namespace rxpool::bpf::checks
