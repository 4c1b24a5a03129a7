#pragma once
// A policy's BPF object in this kernel: opened, its `const volatile` variables set, accepted by the verifier.

#include <bpf/libbpf.h>

#include <map>
#include <string>

namespace rxpool {

class PolicyObject {
 public:
  /// Throws std::runtime_error for a file or variable that is not there, Unavailable when the kernel refuses it.
  PolicyObject(const std::string& path, const std::map<std::string, double>& parameters);
  ~PolicyObject();
  PolicyObject(const PolicyObject&) = delete;
  PolicyObject& operator=(const PolicyObject&) = delete;

  /// The program for the device: the first XDP program that is not for an entry of a map.
  int xdp_program() const;
  /// Throws std::runtime_error when there is none of that name.
  int program(const std::string& name) const;
  /// Null when there is none of that name.
  const bpf_map* map(const std::string& name) const;

 private:
  std::string path_;
  bpf_object* object_ = nullptr;
};

}  // namespace rxpool
