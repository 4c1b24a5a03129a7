#pragma once
// `cpus.<name>`: the CPUs of the host. A CPU belongs to a NUMA node and may sleep as deep as its idle states allow;
// what waking costs is in the calibration file (`idle`).

#include <cstdint>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

enum class IdleStates { poll, c1, deep };

struct CpuParams {
  std::uint32_t node = 0;
  IdleStates idle_states = IdleStates::deep;
};

inline void fields(FieldVisitor& v, CpuParams& p) {
  v.number("node", p.node, {0, 63}, "NUMA node of the CPU.");
  v.choice<IdleStates>("idle_states", p.idle_states,
                       {{"poll", IdleStates::poll}, {"c1", IdleStates::c1}, {"deep", IdleStates::deep}},
                       "Deepest idle state allowed: busy loop, shallow, or all.");
}

}  // namespace rxpool::scenario
