#pragma once
// The layout of cost over the control flow of one function. Each instruction gets the amount pending after it; where
// two paths meet with different amounts, the difference is booked on one of them. Loop heads start at zero, so that
// every turn books, and is checked for fuel, on the way back.

#include "models/bpf/decode_insn.hpp"
#include "models/bpf/decoded.hpp"

namespace rxpool::bpf {

/// Control flow and pending amounts of the instructions [begin, end) of a program.
class FunctionBody {
 public:
  FunctionBody(const Program& program, std::uint32_t begin, std::uint32_t end, const HelperTable& helpers);

  const Program& program() const { return program_; }
  std::uint32_t begin() const { return begin_; }
  std::uint32_t end() const { return end_; }
  bool is_leader(std::uint32_t insn) const { return leaders_[insn - begin_]; }
  /// Executed and not booked when a leader starts.
  const Pending& before(std::uint32_t leader) const { return before_[leader - begin_]; }
  /// Executed and not booked after an instruction, with the instruction.
  const Pending& after(std::uint32_t insn) const { return after_[insn - begin_]; }
  std::uint32_t branch_target(std::uint32_t insn) const;
  /// First slot after the instruction.
  std::uint32_t next(std::uint32_t insn) const { return insn + (program_.insns[insn].opcode == op::lddw ? 2 : 1); }

 private:
  void find_leaders();
  void lay_out(const HelperTable& helpers);

  const Program& program_;
  std::uint32_t begin_;
  std::uint32_t end_;
  std::vector<bool> leaders_;
  std::vector<bool> loop_heads_;
  std::vector<Pending> before_;
  std::vector<Pending> after_;
};

/// Appends the operations of the function to `code`, with bookings and resolved targets.
void emit_function(const FunctionBody& body, InsnDecoder& decoder, Decoded& code);

}  // namespace rxpool::bpf
