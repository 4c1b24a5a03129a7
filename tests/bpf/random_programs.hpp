#pragma once
// Random programs that the kernel's verifier takes: arithmetic of both widths with sdiv, smod, movsx and byte swaps,
// memory of all widths on the stack and in a map value, atomics, forward branches, short loops, local calls, legacy
// packet loads. Inputs come from element 0 of map 0 and every register and the stack go back there, so that any
// engine's run can be compared byte by byte. Kept out, because kernels get them wrong: a 32-bit cmpxchg without a
// following zero-extension of r0 (the upper half can be stale when pruning omits it), and fetching atomics on stack
// slots (branches on what they read can be resolved wrongly after pruning).

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/bpf/isa.hpp"

namespace rxpool::bpf::testing {

/// A small generator of its own (splitmix64), so that a seed names a program for ever.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// Uniform enough in 0 … bound - 1.
  unsigned below(unsigned bound) { return static_cast<unsigned>(next() % bound); }
  bool one_in(unsigned n) { return below(n) == 0; }
  /// Values that hurt: zero, ones, powers of two and their neighbours, sign bits, plain random.
  std::uint64_t value();

 private:
  std::uint64_t state_;
};

/// Element 0 of map 0.
struct RandomValue {
  std::array<std::uint64_t, 10> in;
  std::array<std::uint64_t, 16> stack_in;
  std::array<std::uint64_t, 16> scratch;
  std::array<std::uint64_t, 10> out;
  std::array<std::uint64_t, 16> stack_out;
};

struct RandomProgram {
  std::vector<Insn> insns;
  bool loads_packet = false;  // LD_ABS, LD_IND: needs a context with a packet (SCHED_CLS in the kernel)
};

RandomProgram random_program(std::uint64_t seed);
void random_inputs(Dice& dice, RandomValue& value);

/// Every opcode_name() that random_program can produce.
std::vector<std::string> all_opcode_names();

}  // namespace rxpool::bpf::testing
