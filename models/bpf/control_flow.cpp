#include "models/bpf/control_flow.hpp"

#include <algorithm>
// gcc 12 sees an iterator of Boost.Graph's edge list that is empty as one that is used.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/graphviz.hpp>
#include <set>
#include <sstream>

#include "models/bpf/disasm.hpp"
#include "models/bpf/helpers/table.hpp"

namespace rxpool::bpf {
namespace {

struct Block {
  std::uint32_t first = 0;
  std::uint32_t end = 0;
};
enum class EdgeKind : std::uint8_t { next, taken, call };
struct Flow {
  EdgeKind kind = EdgeKind::next;
};
using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, Block, Flow>;

bool is_wide(const Insn& insn) {
  return insn.opcode == op::lddw;
}

bool ends_block(const Insn& insn) {
  return insn.opcode == op::exit_insn || insn.opcode == op::ja_insn || insn.opcode == op::gotol;
}

std::uint32_t next_of(const Program& program, std::uint32_t at) {
  return at + (is_wide(program.insns[at]) ? 2 : 1);
}

std::uint32_t target_of(const Program& program, std::uint32_t at) {
  return static_cast<std::uint32_t>(std::int64_t{at} + 1 + branch_distance(program.insns[at]));
}

// The function that a call or the address of a callback leads to, or -1.
std::int64_t callee_of(const Program& program, std::uint32_t at) {
  const Insn& insn = program.insns[at];
  if (insn.opcode == op::call_insn && insn.src == call_kind::local) {
    return std::int64_t{at} + 1 + insn.imm;
  }
  return is_wide(insn) && insn.src == lddw_kind::function ? insn.imm : -1;
}

std::set<std::uint32_t> leaders_of(const Program& program) {
  std::set<std::uint32_t> leaders;
  for (const Subprogram& function : program.subprograms) {
    leaders.insert(function.first_insn);
  }
  for (std::uint32_t at = 0; at < program.insns.size(); at = next_of(program, at)) {
    const Insn& insn = program.insns[at];
    if (is_branch(insn.opcode)) {
      leaders.insert(target_of(program, at));
    }
    if (is_branch(insn.opcode) || ends_block(insn)) {
      leaders.insert(next_of(program, at));
    }
  }
  leaders.erase(static_cast<std::uint32_t>(program.insns.size()));
  return leaders;
}

Graph graph_of(const Program& program) {
  const std::set<std::uint32_t> leaders = leaders_of(program);
  const std::vector<std::uint32_t> starts(leaders.begin(), leaders.end());
  const auto size = static_cast<std::uint32_t>(program.insns.size());
  Graph graph;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    boost::add_vertex(Block{starts[i], i + 1 < starts.size() ? starts[i + 1] : size}, graph);
  }
  const auto block_at = [&](std::uint32_t insn) {
    return static_cast<std::size_t>(std::lower_bound(starts.begin(), starts.end(), insn) - starts.begin());
  };
  for (std::size_t i = 0; i < starts.size(); ++i) {
    std::uint32_t last = graph[i].first;
    for (std::uint32_t at = last; at < graph[i].end; at = next_of(program, at)) {
      last = at;
      if (const std::int64_t callee = callee_of(program, at); callee >= 0) {
        boost::add_edge(i, block_at(static_cast<std::uint32_t>(callee)), Flow{EdgeKind::call}, graph);
      }
    }
    const Insn& insn = program.insns[last];
    if (is_branch(insn.opcode)) {
      boost::add_edge(i, block_at(target_of(program, last)), Flow{EdgeKind::taken}, graph);
    }
    if (!ends_block(insn) && graph[i].end < size) {
      boost::add_edge(i, block_at(graph[i].end), Flow{EdgeKind::next}, graph);
    }
  }
  return graph;
}

// Text inside a label: quotes and backslashes escaped, what cannot be printed left out.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    if (static_cast<unsigned char>(c) >= ' ' && c != 0x7f) {
      out += c;
    }
  }
  return out;
}

std::string meaning(const Object& object, const Insn& insn) {
  const auto index = static_cast<std::size_t>(insn.imm);
  if (is_wide(insn) && (insn.src == lddw_kind::map || insn.src == lddw_kind::map_value)) {
    return index < object.maps.size() ? "  ; " + object.maps[index].name : "";
  }
  if (insn.opcode == op::call_insn && insn.src == call_kind::helper) {
    return "  ; " + helper_name(static_cast<std::uint32_t>(insn.imm));
  }
  if (insn.opcode == op::call_insn && insn.src == call_kind::kfunc) {
    return index < object.kfuncs.size() ? "  ; " + object.kfuncs[index].name : "";
  }
  return "";
}

std::string label_of(const Object& object, const Program& program, const Block& block) {
  std::string label;
  for (const Subprogram& function : program.subprograms) {
    if (function.first_insn == block.first) {
      label += escaped(function.name) + ":\\l";
    }
  }
  auto line = std::lower_bound(program.lines.begin(), program.lines.end(), block.first,
                               [](const LineInfo& info, std::uint32_t at) { return info.insn < at; });
  std::uint32_t shown = 0;
  for (std::uint32_t at = block.first; at < block.end; at = next_of(program, at)) {
    for (; line != program.lines.end() && line->insn <= at; ++line) {
      const auto begin = line->text.find_first_not_of(" \t");
      if (line->insn == at && line->line != shown && begin != std::string::npos) {
        label += "; " + std::to_string(line->line) + ": " + escaped(line->text.substr(begin)) + "\\l";
        shown = line->line;
      }
    }
    const Insn* next = at + 1 < program.insns.size() ? &program.insns[at + 1] : nullptr;
    label += std::to_string(at) + ": " +
             escaped(disassemble(program.insns[at], next, at) + meaning(object, program.insns[at])) + "\\l";
  }
  return label;
}

}  // namespace

std::string control_flow_dot(const Object& object, const Program& program) {
  const Graph graph = graph_of(program);
  std::ostringstream out;
  boost::write_graphviz(
      out, graph,
      [&](std::ostream& to, std::size_t vertex) {
        to << "[label=\"" << label_of(object, program, graph[vertex]) << "\"]";
      },
      [&](std::ostream& to, const Graph::edge_descriptor& edge) {
        switch (graph[edge].kind) {
          case EdgeKind::next:
            break;
          case EdgeKind::taken:
            to << "[label=\"taken\"]";
            break;
          case EdgeKind::call:
            to << "[style=dashed, label=\"call\"]";
            break;
        }
      },
      [&](std::ostream& to) {
        to << "label=\"" << escaped(object.label + ": " + program.name) << "\";\n"
           << "node [shape=box, fontname=monospace];\n";
      });
  return out.str();
}

}  // namespace rxpool::bpf
