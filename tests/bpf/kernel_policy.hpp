#pragma once
// A policy in the kernel of this machine: the same source with clock and random numbers given by the test, loaded
// through libbpf, run packet by packet with BPF_PROG_TEST_RUN, its maps read back.

#include <map>
#include <optional>
#include <span>
#include <string>

#include "models/bpf/contexts.hpp"
#include "models/bpf/map_access.hpp"
#include "models/bpf/object.hpp"
#include "tests/bpf/kernel_access.hpp"

namespace rxpool::bpf {

class KernelPolicy {
 public:
  /// `programs` are loaded, all others left out; return hooks become `syscall` programs. Throws std::runtime_error.
  KernelPolicy(const std::string& path, const Params& params, const std::vector<std::string>& programs);

  struct Answer {
    std::uint32_t verdict = 0;
    Bytes bytes;
  };
  void give(std::uint64_t now_ns, std::uint32_t random);
  Answer run(const std::string& program, std::span<const std::uint8_t> packet);
  void run_return(const std::string& program, const ReturnContext& context);
  int write(const std::string& map, const Bytes& key, const Bytes& value);
  /// All elements by key; per-CPU values in a row as MapAccess gives them.
  std::map<Bytes, Bytes> dump(const std::string& map) const;

 private:
  int map_fd(const std::string& name) const;
  int program_fd(const std::string& name) const;

  KernelObject object_;
};

}  // namespace rxpool::bpf
