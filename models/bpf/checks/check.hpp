#pragma once
// Load-time checks of one object, each linear in its size: call graph (acyclic, at most 8 frames), stack (512 bytes
// over a chain of calls), unreachable code, and one dataflow pass over what registers and stack slots hold. They refuse
// what is wrong on every reading of the program: uninitialised registers, context fields that do not exist, arguments
// of the wrong kind, a value used before its NULL check, stale packet pointers. Encodings and jumps are the decoder's
// business.
//
// They are not the kernel's verifier: no ranges, no path sensitivity, no reference counting. What happens to values in
// between is contained by the box; whether a kernel would accept the program, only a kernel can tell.

#include <stdexcept>
#include <string>
#include <vector>

#include "models/bpf/helper.hpp"
#include "models/bpf/object.hpp"

namespace rxpool::bpf {

/// What is known of one refusal, for messages and tools.
struct Refusal {
  std::string program;
  std::uint32_t insn = 0;
  std::string instruction;  // disassembly
  std::string source;       // "file:line: text", empty without BTF.ext
  std::string registers;    // state before the instruction
  std::string what;         // what was found and what was expected
};

/// Lines of a refusal as a person reads them.
std::string to_text(const Refusal& refusal, const std::string& label);

/// Checks every program; throws InputError (policy_rejected) with to_text of the first refusal. Returns remarks: places
/// where only a kernel can tell whether they are right.
std::vector<std::string> check_object(const Object& object, const HelperTable& helpers);

}  // namespace rxpool::bpf
