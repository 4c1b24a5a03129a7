#include <boost/graph/graphviz.hpp>
#include <sstream>

#include "models/host/topology_graph.hpp"

namespace rxpool::topology_graph {
namespace {

std::string vertex_label(const Stage& stage) {
  std::string label = stage.component;
  if (stage.kind == "source") return label + "\n" + rate(stage.offered_pps);
  if (stage.kind == "cpu") {
    return label + text("\n%.0f ns per packet", stage.demand_ns) + text("\n%.0f %% busy", 100 * stage.utilisation);
  }
  if (stage.demand_ns > 0) label += text("\n%.3g ns per packet", stage.demand_ns);
  label += "\n" + rate(stage.offered_pps);
  if (stage.capacity_pps < unlimited) label += " of " + rate(stage.capacity_pps);
  return label;
}

std::string quoted(const std::string& value) {
  std::string result = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n') {
      result += "\\n";
    } else {
      result += c;
    }
  }
  return result + "\"";
}

}  // namespace

std::string rate(double pps) {
  return pps >= 1e5 ? text("%.3g M/s", pps * 1e-6) : text("%.3g/s", pps);
}

std::string dot(const Graph& graph, const Bottleneck& predicted) {
  std::ostringstream out;
  boost::write_graphviz(
      out, graph,
      [&](std::ostream& stream, Vertex v) {
        const Stage& stage = graph[v];
        const bool worst = stage.component == predicted.component;
        stream << "[label=" << quoted(vertex_label(stage)) << ", shape=" << (stage.kind == "cpu" ? "ellipse" : "box")
               << (worst ? ", style=filled, fillcolor=\"#f6c7a5\"" : "") << "]";
      },
      [&](std::ostream& stream, const auto& e) {
        const Link& link = graph[e];
        if (link.demand_ns > 0) {
          stream << "[style=dashed, label=" << quoted(text("%.0f ns", link.demand_ns)) << "]";
        } else {
          stream << "[label=" << quoted(rate(link.pps)) << "]";
        }
      },
      [&](std::ostream& stream) {
        stream << "rankdir=LR;\nlabel=" << quoted(predicted.sentence)
               << ";\nnode [fontname=\"sans-serif\"];\nedge [fontname=\"sans-serif\", fontsize=10];\n";
      });
  return out.str();
}

}  // namespace rxpool::topology_graph
