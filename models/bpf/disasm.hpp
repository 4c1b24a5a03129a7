#pragma once
// Bytecode as text, in the notation of the kernel's verifier log and llvm-objdump: "r1 = *(u32 *)(r2 + 4)".

#include <cstdint>
#include <span>
#include <string>

#include "models/bpf/isa.hpp"
#include "models/bpf/program.hpp"

namespace rxpool::bpf {

/// One instruction. `next` is the second slot of an LDDW (may be null); `index` makes jump targets absolute.
std::string disassemble(const Insn& insn, const Insn* next, std::uint32_t index);

/// `around` instructions on both sides of `index`, one a line, an arrow at `index`, source lines in between where the
/// program has them.
std::string disassemble_around(const Program& program, std::uint32_t index, std::uint32_t around = 4);

}  // namespace rxpool::bpf
