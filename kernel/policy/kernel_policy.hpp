#pragma once
// A policy in the kernel of this machine, loaded through libbpf: what the verifier says of each of its programs, runs
// of single packets with BPF_PROG_TEST_RUN, maps read and written. The object must have passed our own loader before.
// Left out: programs for hooks that no kernel has; with TEST_RUN also xdp/cpumap programs and those bound to a device
// (the kernel refuses to run them so).

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/bpf/contexts.hpp"
#include "models/bpf/map_access.hpp"
#include "models/bpf/object.hpp"

struct bpf_object;

namespace rxpool::kernel {

/// Empty if this process may load XDP programs, else the reason.
std::string refusal();

struct Answer {
  enum class Kind : std::uint8_t { accepts, refuses, not_asked };
  Kind kind = Kind::not_asked;
  std::string reason;  // last line of the verifier's log, or why nobody was asked
};

/// What the kernel says of one program of an object. `object` is ours of the same bytes.
Answer ask(std::span<const std::uint8_t> bytes, const bpf::Object& object, const bpf::Program& program);

class KernelPolicy {
 public:
  /// Loads `programs` with the knobs that `object` holds in its .rodata, and leaves the others out; return and
  /// egress hooks become `syscall` programs. Throws InputError: not_available without the privilege, policy_rejected
  /// with the log's last line. `device` binds the programs to an interface, as its metadata kfuncs need (0: none).
  KernelPolicy(std::span<const std::uint8_t> bytes, const bpf::Object& object, const std::vector<std::string>& programs,
               std::uint32_t device = 0);
  ~KernelPolicy();

  struct Run {
    std::uint32_t verdict = 0;
    bpf::Bytes bytes;               // metadata in front, as the kernel gives it
    std::uint32_t duration_ns = 0;  // mean of the repeats, the kernel's own figure
  };
  /// A packet of 14 bytes to about 3.5 KiB; throws InputError for one that the kernel does not take. The kernel does
  /// not restore the packet between repeats.
  Run run(const std::string& program, std::span<const std::uint8_t> packet, std::uint32_t repeat = 1);
  void run_return(const std::string& program, const bpf::ReturnContext& context);
  /// Its result; the context comes back with what it wrote. Packet data a `syscall` program cannot read.
  std::uint32_t run_egress(const std::string& program, bpf::EgressContext& context);
  /// 0 or -errno.
  int write(const std::string& map, const bpf::Bytes& key, const bpf::Bytes& value);
  /// Puts a program into the native XDP hook of an interface, where it stays as long as this policy lives. Throws
  /// InputError.
  void attach(const std::string& program, std::uint32_t ifindex);
  /// All elements by key; per-CPU values in a row as bpf::MapAccess gives them. Throws InputError for a map that is
  /// not there; empty for one that cannot be walked.
  std::map<bpf::Bytes, bpf::Bytes> dump(const std::string& map) const;

 private:
  std::uint32_t run_on_context(const std::string& program, void* context, std::uint32_t bytes);
  int map_fd(const std::string& name) const;
  int program_fd(const std::string& name) const;

  struct Close {
    void operator()(bpf_object* object) const;
  };
  std::string label_;
  std::uint32_t attached_to_ = 0;
  std::unique_ptr<bpf_object, Close> object_;
};

}  // namespace rxpool::kernel
