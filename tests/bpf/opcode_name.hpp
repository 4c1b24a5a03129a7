#pragma once
// What an instruction is called in reports and counts, finer than its opcode.

#include <string>

#include "models/bpf/isa.hpp"

namespace rxpool::bpf::testing {

/// "sdiv64_reg", "atomic_fetch_add32", "movsx8_64"…
std::string opcode_name(const Insn& insn);

}  // namespace rxpool::bpf::testing
