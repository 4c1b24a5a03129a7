#pragma once
// `policies.<nic>`: the XDP program of a NIC and the values of its `const volatile` variables. A plain string is the
// program. Built in are `none`, `pass` and `drop`.

#include <map>
#include <string>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

struct PolicyParams {
  std::string program = "none";
  std::map<std::string, ParamValue> params;
  std::string file;            ///< the program's file as found, empty for the built-in ones; not a key
  std::string include_folder;  ///< where policy.bpf.h is, for a program to be compiled; not a key
};

inline void fields(FieldVisitor& v, PolicyParams& p) {
  v.text("program", p.program, "`none`, `pass`, `drop`, a shipped policy's name, or a `.bpf.c` or `.bpf.o` file.");
  v.values("params", p.params, "Values of the program's `const volatile` variables.");
}

}  // namespace rxpool::scenario
