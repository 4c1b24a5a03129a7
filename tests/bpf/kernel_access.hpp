#pragma once
// libbpf's objects as values, for the tests that compare with the kernel of this machine. Where loading is not allowed
// (kernel::refusal) the tests say so and pass over it.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

namespace rxpool::bpf {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using KernelObject = std::unique_ptr<bpf_object, CloseObject>;

}  // namespace rxpool::bpf
