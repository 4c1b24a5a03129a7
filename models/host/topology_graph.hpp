#pragma once
// The graph behind a topology: stages that packets pass and the CPUs that serve them, and how it is drawn.

#include <array>
#include <boost/graph/adjacency_list.hpp>
#include <cstdio>
#include <limits>
#include <string>

#include "models/host/topology.hpp"

namespace rxpool::topology_graph {

inline constexpr double unlimited = std::numeric_limits<double>::infinity();

struct Link {
  double pps = 0;
  double demand_ns = 0;  ///< of a CPU per packet; 0 for an edge that packets take
};

using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Stage, Link>;
using Vertex = boost::graph_traits<Graph>::vertex_descriptor;

template <typename... Values>
std::string text(const char* format, Values... values) {
  std::array<char, 96> buffer{};
  std::snprintf(buffer.data(), buffer.size(), format, values...);
  return buffer.data();
}

/// "1.5 M/s", for people.
std::string rate(double pps);

/// Graphviz text; the stage that `predicted` names is filled.
std::string dot(const Graph& graph, const Bottleneck& predicted);

}  // namespace rxpool::topology_graph
