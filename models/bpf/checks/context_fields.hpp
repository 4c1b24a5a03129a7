#pragma once
// The fields of each hook's context: where they are, how wide, who may write them, and what a load of them gives.

#include <cstdint>
#include <span>

#include "models/bpf/checks/value.hpp"
#include "models/bpf/program.hpp"

namespace rxpool::bpf::checks {

struct ContextField {
  const char* name;
  std::uint32_t offset;
  std::uint32_t size;
  Kind loads = Kind::scalar;
  bool writable = false;
};

std::span<const ContextField> context_fields(Hook hook);
const char* context_name(Hook hook);

}  // namespace rxpool::bpf::checks
