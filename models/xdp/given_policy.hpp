#pragma once
// A policy that the caller brings along instead of naming a file: the bytes of an object, or a function of the
// program that embeds the simulator (Python). A scenario names it; the name stands for exactly this content.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "models/bpf/contexts.hpp"

namespace rxpool {

/// Verdict (enum xdp_action) for a frame without FCS, whose first bytes are known and whose rest reads as zero. Called
/// on the thread that runs the replication; must not throw.
using PolicyFunction = std::function<std::uint32_t(std::span<const std::byte> packet, const bpf::Signal& signal)>;

struct GivenPolicy {
  std::vector<std::uint8_t> object;  ///< empty: a function
  PolicyFunction function;
};

}  // namespace rxpool
