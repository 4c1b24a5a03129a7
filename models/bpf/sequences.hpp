#pragma once
// Sequences that compilers emit all the time, executed by one handler of the interpreter: half the indirect jumps of
// typical code. The handler stands at the first operation and goes on behind the last; the others keep their own for
// whoever jumps to them, so indices stay as they are. Longer ones come first. Only in the unchecked machine.
//
// X: any registers. C: a chain, every operation works on the result of the one before. P: the same behind one operation
// more. T: a number of two bytes. K: a lookup with its key and the check for NULL.

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "models/bpf/decoded.hpp"
#include "models/bpf/frame_lookup.hpp"

namespace rxpool::bpf {

// clang-format off
#define RXPOOL_BPF_SEQUENCES \
  K6(store32_reg, mov64_reg, add64_imm, lddw, call_array, jeq64_imm) \
  T4(load8, load8, lsh32_imm, or_32_reg) \
  C4(load8, lsh32_imm, and_32_imm, jlt32_imm)      /* fields of a byte */ \
  C4(bswap16, add32_imm, and_32_imm, jgt32_imm)    /* ranges */ \
  P4(add64_reg, mov64_reg, add64_imm, jgt64_reg)   /* bounds of the packet */ \
  C3(mov64_reg, add64_imm, jgt64_reg) \
  C3(load64, add64_imm, store64_reg)               /* counters */ \
  C3(load16, and_32_imm, jne32_imm)                /* masks */ \
  C3(lsh32_imm, and_32_imm, jlt32_imm) \
  C3(add32_imm, and_32_imm, jgt32_imm) \
  P3(store32_reg, mov64_reg, add64_imm)            /* key, and pointer to it */ \
  X4(load8, load8, lsh32_imm, or_32_reg) \
  X4(sub64_reg, load64, add64_reg, store64_reg) \
  X4(account, mov32_reg, account, exit)            /* the one exit of several paths */ \
  X3(mov32_reg, account, exit) \
  X2(account, exit) \
  X2(account, mov32_reg) \
  X2(account, mov32_imm) \
  X3(lddw, call_array, jeq64_imm)                  /* lookup and NULL check */ \
  X3(load64, add64_reg, store64_reg) \
  X3(mov32_imm, load32, load32) \
  C2(load8, jne32_imm) \
  C2(load8, jeq32_imm) \
  C2(load16, jne32_imm) \
  C2(load16, jeq32_imm) \
  C2(mov64_reg, add64_imm) \
  C2(and_32_imm, jne32_imm) \
  C2(and_32_imm, jeq32_imm) \
  C2(bswap16, jeq32_imm) \
  C2(bswap16, jne32_imm) \
  X2(load32, load32) \
  X2(load8, load8) \
  X2(mov64_reg, mov64_reg) \
  X2(mov32_imm, jne32_imm) \
  X2(mov32_imm, mov32_imm) \
  X2(mov32_imm, load32) \
  X2(mov32_imm, exit) \
  X2(mov32_reg, exit) \
  X2(lsh32_imm, or_32_reg) \
  X2(lsh32_imm, and_32_imm) \
  X2(lsh64_imm, rsh64_imm)
// clang-format on

enum class Sequence : std::uint8_t {
#define X2(a, b) a##_##b,
#define X3(a, b, c) a##_##b##_##c,
#define X4(a, b, c, d) a##_##b##_##c##_##d,
#define K6(...) keyed_lookup,
#define C2(a, b) chain_##a##_##b,
#define C3(a, b, c) chain_##a##_##b##_##c,
#define C4(a, b, c, d) chain_##a##_##b##_##c##_##d,
#define P3(a, b, c) prefixed_##a##_##b##_##c,
#define P4(a, b, c, d) prefixed_##a##_##b##_##c##_##d,
#define T4(a, b, c, d) two_bytes,
  RXPOOL_BPF_SEQUENCES
#undef X2
#undef X3
#undef X4
#undef K6
#undef C2
#undef C3
#undef C4
#undef P3
#undef P4
#undef T4
      count
};

enum class SequenceForm : std::uint8_t { plain, chain, prefixed, two_bytes, keyed };

struct SequenceKinds {
  std::array<OpKind, 6> kinds;
  std::size_t length;
  SequenceForm form;
};
inline constexpr SequenceKinds sequences[] = {
#define X2(a, b) {{OpKind::a, OpKind::b}, 2, SequenceForm::plain},
#define X3(a, b, c) {{OpKind::a, OpKind::b, OpKind::c}, 3, SequenceForm::plain},
#define X4(a, b, c, d) {{OpKind::a, OpKind::b, OpKind::c, OpKind::d}, 4, SequenceForm::plain},
#define K6(a, b, c, d, e, f) \
  {{OpKind::a, OpKind::b, OpKind::c, OpKind::d, OpKind::e, OpKind::f}, 6, SequenceForm::keyed},
#define C2(a, b) {{OpKind::a, OpKind::b}, 2, SequenceForm::chain},
#define C3(a, b, c) {{OpKind::a, OpKind::b, OpKind::c}, 3, SequenceForm::chain},
#define C4(a, b, c, d) {{OpKind::a, OpKind::b, OpKind::c, OpKind::d}, 4, SequenceForm::chain},
#define P3(a, b, c) {{OpKind::a, OpKind::b, OpKind::c}, 3, SequenceForm::prefixed},
#define P4(a, b, c, d) {{OpKind::a, OpKind::b, OpKind::c, OpKind::d}, 4, SequenceForm::prefixed},
#define T4(a, b, c, d) {{OpKind::a, OpKind::b, OpKind::c, OpKind::d}, 4, SequenceForm::two_bytes},
    RXPOOL_BPF_SEQUENCES
#undef X2
#undef X3
#undef X4
#undef K6
#undef C2
#undef C3
#undef C4
#undef P3
#undef P4
#undef T4
};

/// Does each of `ops` work on the result of the one before, and on nothing else of it?
inline bool is_chain(std::span<const Op> ops) {
  const std::uint8_t value = ops[0].dst;
  return std::all_of(ops.begin() + 1, ops.end(), [=](const Op& op) {
    if (op.kind == OpKind::store64_reg) return op.src == value && op.dst != value;
    // Arithmetic and jumps come in fours: 64 and 32 bits, each by number and by register.
    const bool by_register = (static_cast<unsigned>(op.kind) & 1) != 0;
    return op.dst == value && !(by_register && op.src == value);
  });
}

inline bool is_two_bytes(std::span<const Op> ops) {
  const std::uint8_t low = ops[0].dst;
  const std::uint8_t value = ops[1].dst;
  return low != value && ops[1].src != low && ops[2].dst == value && ops[3].dst == value && ops[3].src == low;
}

inline bool matches(const SequenceKinds& sequence, std::span<const Op> ops) {
  if (ops.size() < sequence.length) return false;
  const auto first = ops.first(sequence.length);
  const bool same = std::equal(first.begin(), first.end(), sequence.kinds.begin(),
                               [](const Op& op, OpKind kind) { return op.kind == kind; });
  switch (sequence.form) {
    case SequenceForm::plain:
      return same;
    case SequenceForm::chain:
      return same && is_chain(first);
    case SequenceForm::prefixed:
      return same && is_chain(first.subspan(1));
    case SequenceForm::two_bytes:
      return same && is_two_bytes(first);
    case SequenceForm::keyed:
      return same && is_keyed_lookup(first);
  }
  return false;
}

/// The first sequence that begins with the first of `ops`, or `count`.
inline Sequence sequence_at(std::span<const Op> ops) {
  const auto found = std::find_if(std::begin(sequences), std::end(sequences),
                                  [&](const SequenceKinds& sequence) { return matches(sequence, ops); });
  return static_cast<Sequence>(found - std::begin(sequences));
}

}  // namespace rxpool::bpf
