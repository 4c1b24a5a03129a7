#pragma once
// One program as the loader hands it to checks and engine: bytecode with relocations applied. After load
//  - LDDW with src 1 (map) has imm = index into the object's maps;
//  - LDDW of a map value (a data section) is a plain constant: src 0, imm = offset inside the box;
//  - LDDW with src 4 (function) has imm = first instruction of the callback, counted from the start of the program;
//  - CALL with src 1 has imm = distance in slots; with src 0 the helper id; with src 2 the id of a kfunc in the helper
//  table.

#include <cstdint>
#include <string>
#include <vector>

#include "models/bpf/isa.hpp"

namespace rxpool::bpf {

/// Where a program may run; decides which context it gets and which helpers it may call (design: policy contract).
enum class Hook : std::uint8_t { xdp, xdp_devmap, xdp_cpumap, rxpool_return, rxpool_egress };

constexpr std::uint32_t hook_bit(Hook hook) {
  return 1u << static_cast<unsigned>(hook);
}

/// A function of the program; the entry function is one of them and starts at instruction 0.
struct Subprogram {
  std::string name;
  std::uint32_t first_insn = 0;
  std::uint32_t insn_count = 0;
};

/// Source position of an instruction (BTF.ext line info), sorted by `insn`; valid until the next entry.
struct LineInfo {
  std::uint32_t insn = 0;
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string text;
};

struct Program {
  std::string name;
  std::string section;
  Hook hook = Hook::xdp;
  std::vector<Insn> insns;
  std::vector<Subprogram> subprograms;
  std::vector<LineInfo> lines;
};

/// A map reference in a register: small and never zero, and as an address inside the unmapped bottom of the box.
constexpr std::uint64_t map_handle(std::uint32_t index) {
  return std::uint64_t{index} + 1;
}
constexpr std::uint32_t max_maps = 16'384;

}  // namespace rxpool::bpf
