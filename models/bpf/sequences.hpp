#pragma once
// Sequences that compilers emit all the time, executed by one handler of the interpreter: half the indirect jumps of
// typical code. The handler stands at the first operation and goes on behind the last; the others keep their own for
// whoever jumps to them, so indices stay as they are. Longer ones come first. Only in the unchecked machine.

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "models/bpf/decoded.hpp"

namespace rxpool::bpf {

#define RXPOOL_BPF_SEQUENCES(X2, X3, X4)                              \
  X4(load8, load8, lsh32_imm, or_32_reg) /* u16 from two bytes */     \
  X3(mov64_reg, add64_imm, jgt64_reg)    /* bounds of the packet */   \
  X3(lddw, call_array, jeq64_imm)        /* lookup and NULL check */  \
  X3(store32_reg, mov64_reg, add64_imm)  /* key, and pointer to it */ \
  X3(load64, add64_imm, store64_reg)     /* counters */               \
  X3(load64, add64_reg, store64_reg)                                  \
  X3(load16, and_32_imm, jne32_imm) /* masks and ranges */            \
  X3(lsh32_imm, and_32_imm, jlt32_imm)                                \
  X3(add32_imm, and_32_imm, jgt32_imm)                                \
  X2(load32, load32)                                                  \
  X2(load8, load8)                                                    \
  X2(load8, jne32_imm)                                                \
  X2(load8, jeq32_imm)                                                \
  X2(load16, jne32_imm)                                               \
  X2(load16, jeq32_imm)                                               \
  X2(mov64_reg, add64_imm)                                            \
  X2(mov64_reg, mov64_reg)                                            \
  X2(mov32_imm, jne32_imm)                                            \
  X2(mov32_imm, mov32_imm)                                            \
  X2(mov32_imm, load32)                                               \
  X2(mov32_imm, exit)                                                 \
  X2(mov32_reg, exit)                                                 \
  X2(lsh32_imm, or_32_reg)                                            \
  X2(lsh32_imm, and_32_imm)                                           \
  X2(lsh64_imm, rsh64_imm)                                            \
  X2(and_32_imm, jne32_imm)                                           \
  X2(and_32_imm, jeq32_imm)                                           \
  X2(bswap16, jeq32_imm)                                              \
  X2(bswap16, jne32_imm)

enum class Sequence : std::uint8_t {
#define X2(a, b) a##_##b,
#define X3(a, b, c) a##_##b##_##c,
#define X4(a, b, c, d) a##_##b##_##c##_##d,
  RXPOOL_BPF_SEQUENCES(X2, X3, X4)
#undef X2
#undef X3
#undef X4
      count
};

struct SequenceKinds {
  std::array<OpKind, 4> kinds;
  std::size_t length;
};
inline constexpr SequenceKinds sequences[] = {
#define X2(a, b) {{OpKind::a, OpKind::b}, 2},
#define X3(a, b, c) {{OpKind::a, OpKind::b, OpKind::c}, 3},
#define X4(a, b, c, d) {{OpKind::a, OpKind::b, OpKind::c, OpKind::d}, 4},
    RXPOOL_BPF_SEQUENCES(X2, X3, X4)
#undef X2
#undef X3
#undef X4
};

/// The first sequence that begins with the first of `ops`, or `count`.
inline Sequence sequence_at(std::span<const Op> ops) {
  const auto found = std::find_if(std::begin(sequences), std::end(sequences), [&](const SequenceKinds& sequence) {
    return ops.size() >= sequence.length &&
           std::equal(sequence.kinds.begin(), sequence.kinds.begin() + sequence.length, ops.begin(),
                      [](OpKind kind, const Op& op) { return op.kind == kind; });
  });
  return static_cast<Sequence>(found - std::begin(sequences));
}

}  // namespace rxpool::bpf
