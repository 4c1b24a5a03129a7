#pragma once
// Philox4x32-10 in blocks (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): 32-bit
// words at any place of any stream, the same from each version. Random123 computes the portable one; AVX2 and AVX-512
// versions do eight blocks side by side and are chosen by the CPU's features.

#include <cstddef>
#include <cstdint>

namespace rxpool::philox {

/// Words of one group: eight blocks of four. The first sixteen are outputs 0 and 1 of blocks 0 … 7 in turn, the others
/// outputs 2 and 3, so that no lane has to be shuffled.
inline constexpr std::size_t group_words = 32;

using Generate = void (*)(std::uint64_t key, std::uint64_t stream, std::uint64_t first_group, std::size_t groups,
                          std::uint32_t* out);

/// Writes groups * group_words words. Block b of group g has the counter (8 g + b, stream).
void portable(std::uint64_t key, std::uint64_t stream, std::uint64_t first_group, std::size_t groups,
              std::uint32_t* out);
/// The other versions, null where this build or CPU has none.
Generate avx2();
Generate avx512();
/// The fastest.
Generate best();

}  // namespace rxpool::philox
