#pragma once
// One instruction to one operation: which kind, which operands, which helper. Control flow and cost are laid over it in
// decode_cost.

#include <optional>

#include "models/bpf/decoded.hpp"

namespace rxpool::bpf {

/// Index into Decoded::functions of the function of `program` that starts at `insn`.
std::uint32_t function_at(const Decoded& code, std::uint32_t program, std::uint32_t insn);

struct InsnDecoder {
  Decoded& code;
  const Program& program;
  std::uint32_t program_index;
  std::span<Map* const> maps;
  const HelperTable& helpers;
  std::int64_t r1_map = -1;  // map that r1 is known to hold at the current instruction, or -1

  /// The operation of the instruction at `index`; none for one that does nothing. Targets of branches are left to the
  /// caller.
  std::optional<Op> decode(std::uint32_t index);

 private:
  std::optional<Op> alu(const Insn& insn) const;
  Op branch(const Insn& insn) const;
  Op call(const Insn& insn, std::uint32_t index);
  Op load(const Insn& insn, std::uint32_t index) const;
  Op store(const Insn& insn) const;
  Op atomic_op(const Insn& insn) const;
  Op long_immediate(const Insn& insn, std::uint32_t index) const;
  void track_r1(const Insn& insn);
};

}  // namespace rxpool::bpf
