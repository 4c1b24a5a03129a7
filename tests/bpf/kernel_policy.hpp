#pragma once
// A policy of the tests in the kernel of this machine: the same source with clock and random numbers given by the test.

#include <string>
#include <vector>

#include "kernel/policy/kernel_policy.hpp"
#include "tests/bpf/kernel_access.hpp"

namespace rxpool::bpf {

class KernelPolicy : public kernel::KernelPolicy {
 public:
  /// `programs` are loaded, all others left out.
  KernelPolicy(const std::string& path, const Params& params, const std::vector<std::string>& programs,
               std::uint32_t device = 0);

  /// What the program sees as time and random number from now on.
  void give(std::uint64_t now_ns, std::uint32_t random);

 private:
  struct Source {
    Bytes bytes;
    Object object;
  };
  KernelPolicy(const Source& source, const std::vector<std::string>& programs, std::uint32_t device);
  static Source read(const std::string& path, const Params& params);
};

}  // namespace rxpool::bpf
