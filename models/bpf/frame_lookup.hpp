#pragma once
// A lookup in an array as compilers write it: the key, a word, is stored in the function's frame, r2 points to it, r1
// to the map. Whoever sees all of it together takes the key from where it was, and need not set r1 and r2, which the
// call ends.
//
//     *(u32 *)(r10 - 4) = key;  r2 = r10;  r2 += -4;  r1 = map ll;  call bpf_map_lookup_elem

#include <span>

#include "models/bpf/decoded.hpp"
#include "models/bpf/isa.hpp"

namespace rxpool::bpf {

inline constexpr std::size_t frame_lookup_ops = 4;  ///< from r2 = r10 to the call

/// Do `ops` begin with r2 = r10 and end in the call? The key then lies at ops[1].imm from r10, in the frame for sure.
inline bool is_frame_lookup(std::span<const Op> ops) {
  constexpr std::uint8_t map = 1;  // registers of the arguments
  constexpr std::uint8_t key = 2;
  return ops.size() >= frame_lookup_ops && ops[0].kind == OpKind::mov64_reg && ops[0].dst == key &&
         ops[0].src == frame_register && ops[1].kind == OpKind::add64_imm && ops[1].dst == key &&
         ops[1].imm >= -std::int64_t{frame_bytes} && ops[1].imm <= -std::int64_t{sizeof(std::uint32_t)} &&
         ops[2].kind == OpKind::lddw && ops[2].dst == map && ops[3].kind == OpKind::call_array;
}

/// The same behind the store of the key.
inline bool is_keyed_lookup(std::span<const Op> ops) {
  return ops.size() > frame_lookup_ops && is_frame_lookup(ops.subspan(1)) && ops[0].dst == frame_register &&
         ops[0].offset == ops[2].imm && (ops[0].kind == OpKind::store32_reg || ops[0].kind == OpKind::store32_imm);
}

}  // namespace rxpool::bpf
