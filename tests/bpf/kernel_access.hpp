#pragma once
// Loading objects into the kernel of this machine, for the tests that compare with it. Where that is not allowed the
// tests say so and pass over it.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

namespace rxpool::bpf {

/// Empty if programs can be loaded, else the reason.
inline std::string kernel_refusal() {
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  const bpf_insn drop[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "GPL", drop, 2, nullptr);
  if (fd < 0) {
    return std::string("the kernel loads no XDP program here: ") + std::strerror(errno);
  }
  close(fd);
  return "";
}

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using KernelObject = std::unique_ptr<bpf_object, CloseObject>;

}  // namespace rxpool::bpf
