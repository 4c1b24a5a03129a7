#pragma once
// The control flow of one program as a graph of basic blocks (Boost.Graph), for people to look at: each block with its
// instructions and source lines, edges for branches taken and not taken, dashed ones for calls of functions.

#include <string>

#include "models/bpf/object.hpp"

namespace rxpool::bpf {

/// The graph in Graphviz' DOT. The program must have passed the load-time checks.
std::string control_flow_dot(const Object& object, const Program& program);

}  // namespace rxpool::bpf
