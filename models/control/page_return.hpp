#pragma once
// What becomes of a pool's free pages after an overload, and whether the working set is a limit: the seed's questions
// "how quickly should we return pages", "how much slack", "is it an absolute limit". Numbers in, numbers out: the pool
// carries them out. Rules CT-40 to CT-42.

#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

enum class ReturnRule : std::uint8_t {
  never,      ///< the kernel today: the ring keeps what comes home
  immediate,  ///< everything free goes back at the next look
  paced,      ///< what is above need goes back at a rate
  watermark,  ///< what is above working set and slack goes back at once
  decay,      ///< what is above working set and slack is halved every half-life
};
enum class LimitRule : std::uint8_t { none, soft, absolute };

struct PageReturnParams {
  ReturnRule rule = ReturnRule::never;
  LimitRule limit = LimitRule::none;
  double slack = 0.25;                 ///< share of the working set kept on top of it
  double pages_per_ms = 64;            ///< paced
  Time half_life = milliseconds(100);  ///< decay
};

struct PoolLevels {
  Time step;               ///< since the last look
  double working_set = 0;  ///< estimate
  bool known = false;      ///< there is one
  double held = 0;
  double posted = 0;
  double free_pages = 0;  ///< cache and ring
  double ring_pages = 0;  ///< of these, in the ring, where they can be taken
};

class PageReturn {
 public:
  explicit PageReturn(const PageReturnParams& params) : params_(params) {}
  /// Pages to give back now; never more than the ring has.
  std::uint32_t pages_to_return(const PoolLevels& levels);
  /// inflight at which the limit begins: descriptors, working set and slack. 0: no limit (yet).
  std::uint32_t limit(const PoolLevels& levels) const;

 private:
  PageReturnParams params_;
  double credit_ = 0;  ///< fractions of a page, paced and decay
};

}  // namespace rxpool
