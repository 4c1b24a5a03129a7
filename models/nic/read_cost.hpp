#pragma once
// What a miss costs the receive loop. A read of packet data feeds a comparison whose outcome the CPU guesses, so that
// it goes on with the next packets meanwhile: only a part of the time that memory takes shows (figures XP-1/read,
// XP-19). A line that a frame on its way out needs cannot be done without.

#include "models/memory/llc.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// Of the price of an access to memory, what a read shows of it.
inline Time shown_by_read(Time memory) {
  constexpr std::int64_t shown = 4;  // one in four: 15 ns of 60 to 80 (XP-1/read/1024/4 over /1)
  return memory / shown;
}

}  // namespace rxpool
