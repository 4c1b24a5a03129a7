#pragma once
// `faults`: what goes wrong inside the host, with the truth known to the run: a detector's verdict can be judged by it.

#include <string>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

/// An application, or the driver below it, that loses the page of a packet it has read.
struct LeakParams {
  double share = 0;
  double start_ms = 0;
};

inline void fields(FieldVisitor& v, LeakParams& p) {
  v.number("share", p.share, {0, 1}, "Chance that the page of a packet which was read never goes home.");
  v.number("start_ms", p.start_ms, time_ms(), "From when on.");
}

struct FaultParams {
  Named<LeakParams> leaks;  ///< by socket
};

inline void fields(FieldVisitor& v, FaultParams& p) {
  v.children("leaks", p.leaks, "Pages lost behind a socket, by the socket's name.");
}

}  // namespace rxpool::scenario
