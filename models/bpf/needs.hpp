#pragma once
// What a program asks of its host: hook, helpers, kernel functions, maps. And what a backend can say to that without
// asking anybody: whether a kernel has the hook at all, and in which way it can be tried.

#include <string>
#include <vector>

#include "models/bpf/object.hpp"

namespace rxpool::bpf {

struct Needs {
  std::vector<std::string> helpers;  // names, in order of their numbers, each once
  std::vector<std::string> kfuncs;
  std::vector<std::string> maps;  // in the object's order; data sections too
  bool calls_register = false;    // CALLX, which no released kernel takes
};

Needs needs_of(const Object& object, const Program& program);

/// "xdp", "xdp/devmap", …
const char* hook_name(Hook hook);
/// Hooks that exist only here.
constexpr bool only_simulated(Hook hook) {
  return hook == Hook::rxpool_return || hook == Hook::rxpool_egress;
}

}  // namespace rxpool::bpf
