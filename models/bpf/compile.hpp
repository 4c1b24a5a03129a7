#pragma once
// Compiles restricted C into a policy object with clang, reading no file but the source, the include folder and the
// kernel's and libbpf's own headers. Three steps, so that nothing slips past: preprocess and look at the list of files
// read; compile the preprocessed text to LLVM's intermediate form, which reads no file, and refuse assembler directives
// in inline assembly (.incbin and every way to spell it); assemble. clang runs as a child process with a time limit.

#include <cstdint>
#include <string>
#include <vector>

namespace rxpool::bpf {

struct CompileOptions {
  std::string clang = "clang-19";    // looked up in PATH
  std::string include_folder;        // of policy.bpf.h and what the policy may include
  std::vector<std::string> defines;  // "NAME=value"
  int time_limit_ms = 60'000;
};

/// The object's bytes. `name` is the file name for messages and debug information. Throws InputError: policy_rejected
/// with clang's first error or the file or directive refused, not_available where there is no clang.
std::vector<std::uint8_t> compile_policy(const std::string& source, const std::string& name,
                                         const CompileOptions& options);

/// The same from a file; its own folder does not become an include folder.
std::vector<std::uint8_t> compile_policy_file(const std::string& path, const CompileOptions& options);

}  // namespace rxpool::bpf
