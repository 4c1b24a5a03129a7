#pragma once
// `events.<name>`: timed changes of the running host. Only the paths in `event_paths()` can change; every value is
// checked as if it stood in the scenario itself. An event after the end of the run does not happen.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

struct EventParams {
  double at_ms = 0;
  std::map<std::string, ParamValue> set;
};

inline void fields(FieldVisitor& v, EventParams& p) {
  v.number("at_ms", p.at_ms, time_ms(), "When it happens, from the start of the run (warm-up included).");
  v.values("set", p.set, "Dotted path and new value of each parameter that changes.");
}

/// Patterns of the paths that an event may set; `*` stands for one name.
const std::vector<std::string_view>& event_paths();

}  // namespace rxpool::scenario
