#pragma once
// Direct-threaded interpreter: every operation carries the address of the code that executes it, so that a step is one
// indirect jump. The checked form also asks before each access whether it stays inside one object of the box.

#include <array>
#include <cstdint>
#include <vector>

#include "models/bpf/decoded.hpp"
#include "models/bpf/runtime.hpp"
#include "models/bpf/sequences.hpp"

namespace rxpool::bpf {

struct VmState;

struct ThreadedOp {
  const void* handler = nullptr;
  std::int64_t imm = 0;
  union {
    std::int64_t insns;    // account*, exit (imm is the helper cost), load_packet*: instructions booked
    const CallSite* site;  // calls of helpers
  };
  std::int64_t helper_ps = 0;  // load_packet*: helper cost booked when the load leaves the function
  std::int32_t jump = 0;       // operations from this one
  std::int16_t offset = 0;
  std::uint8_t dst = 0;
  std::uint8_t src = 0;
  std::uint8_t zeroed = 0;  // calls: bits of r1 to r5 that read as 0 afterwards
};

constexpr auto op_kinds = static_cast<std::size_t>(OpKind::count);
/// Addresses of the code for each kind of operation, then for each sequence.
using HandlerTable = std::array<const void*, op_kinds + static_cast<std::size_t>(Sequence::count)>;
HandlerTable handler_table(bool checked);

std::vector<ThreadedOp> thread_code(const Decoded& code, bool checked);

/// Runs from operation `op` until that function returns; r0.
std::uint64_t interpret(VmState& state, std::uint32_t op, const std::array<std::uint64_t, 5>& arguments,
                        BoxOffset frame, bool checked);

/// Checked mode: ends the run unless [address, address + bytes) lies inside one object that may be accessed so.
/// `frame` is r10 of the running function.
void check_access(VmState& state, std::int64_t address, std::uint32_t bytes, bool write, BoxOffset frame);

}  // namespace rxpool::bpf
