#pragma once
// Functions of a linked program: which instructions of each can be reached, who calls whom, in which order to visit
// them (callers first), and how much stack a chain of calls needs.

#include <cstdint>
#include <string>
#include <vector>

#include "models/bpf/program.hpp"

namespace rxpool::bpf::checks {

struct CallSite {
  std::uint32_t insn = 0;
  std::uint32_t callee = 0;  // index in Program::subprograms
  bool callback = false;     // address taken, called by a helper
};

struct CallGraph {
  std::vector<std::vector<CallSite>> calls;  // by function
  std::vector<std::uint32_t> order;          // callers before callees

  /// Index of the function that starts at `insn`, or -1.
  static std::int32_t function_at(const Program& program, std::int64_t insn);
};

struct Problem {
  std::uint32_t insn = 0;
  std::string what;  // empty: none
};

/// Fills the graph; a problem is a recursion, a chain of more than 8 frames, or code that cannot be reached.
Problem build_call_graph(const Program& program, CallGraph& graph);

/// `stack` has the bytes of each function; a problem when a chain of calls exceeds 512.
Problem check_stack(const Program& program, const CallGraph& graph, const std::vector<std::uint32_t>& stack);

/// Instructions of a function that control reaches, given its own range.
std::vector<bool> reachable(const Program& program, const Subprogram& function);

}  // namespace rxpool::bpf::checks
