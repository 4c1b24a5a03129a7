#pragma once
// Compiled code for x86-64: a template per operation, made with asmjit. Register 12 holds the base of the box; programs
// reach memory as base + zero-extended 32-bit register + 16-bit offset, the code itself reaches the Runtime below the
// box by fixed distances from the same register. Helpers are called directly; array lookups, ktime and the CPU id are
// inline. One compiled unit holds every program of a policy, an entry for a whole batch per program and one for
// callbacks. The memory of the code is writable or executable, never both.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "models/bpf/decoded.hpp"
#include "models/bpf/runtime.hpp"

namespace rxpool::bpf {

/// What the code has built in besides the program.
struct JitLayout {
  Box* box = nullptr;
  Runtime* runtime = nullptr;  // within 2 GiB of the base of the box
  BoxOffset stack_begin = 0;
  std::int64_t fuel = 0;
  std::uint32_t insn_ps = 0;
};

class CompiledCode {
 public:
  CompiledCode(const Decoded& code, const JitLayout& layout);
  ~CompiledCode();
  CompiledCode(const CompiledCode&) = delete;
  CompiledCode& operator=(const CompiledCode&) = delete;

  /// One packet after the other: clock, context, program, outcome. `end` > `begin`.
  void run_batch(std::uint32_t program, PacketView* begin, PacketView* end, Outcome* outcomes) const;
  /// One function, with everything booked when it returns.
  std::uint64_t invoke(std::uint32_t function, const std::array<std::uint64_t, 5>& arguments, BoxOffset frame) const;

  const std::byte* begin() const;
  const std::byte* end() const;
  /// The operation whose code holds this address.
  std::uint32_t op_at(const std::byte* address) const;

 private:
  struct Memory;  // the mapping that holds the code
  std::unique_ptr<Memory> memory_;
  std::byte* base_of_box_ = nullptr;
  std::size_t size_ = 0;
  std::size_t invoke_at_ = 0;
  std::vector<std::size_t> batch_at_;     // per program
  std::vector<std::size_t> function_at_;  // per function
  std::vector<std::uint32_t> op_begin_;   // per op: offset of its code
};

}  // namespace rxpool::bpf
