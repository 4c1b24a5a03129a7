#pragma once
// A span of time as warnings write it: milliseconds without trailing zeros.

#include <string>

#include "sim/time.hpp"

namespace rxpool {

inline std::string in_ms(Time t) {
  std::string text = std::to_string(static_cast<double>(t.ps) * 1e-9);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " ms";
}

}  // namespace rxpool
