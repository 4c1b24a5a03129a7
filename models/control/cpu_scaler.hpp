#pragma once
// How many remote CPUs a redirect by cpumap uses: an agent in user space that looks at the counters of the map's
// tracepoint and at the idle time of the CPUs, takes one more at once and rests one when the others suffice (CT-60 to
// CT-62). Only the decision is here; who reads and who obeys is the host. Costs no CPU time.

#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

struct CpuScalerParams {
  Time period;                 ///< between two looks
  double high = 0.9;           ///< busy share of the CPUs in use above which one more is taken
  double low = 0.7;            ///< busy share that one less would have, below which it is enough
  std::uint32_t patience = 5;  ///< looks in a row that find one less enough before it is rested
  std::uint32_t start = 1;     ///< CPUs in use at the start
  std::uint32_t most = 1;      ///< CPUs there are
};

class CpuScaler {
 public:
  explicit CpuScaler(const CpuScalerParams& params) : params_(params), in_use_(params.start) {}

  /// One look: `busy` is the time that the CPUs in use spent not idle since the last one, added up; `drops` the frames
  /// lost on the way to them. Returns how many to use from now on.
  std::uint32_t look(Time busy, std::uint64_t drops);
  std::uint32_t in_use() const { return in_use_; }
  const CpuScalerParams& params() const { return params_; }

 private:
  CpuScalerParams params_;
  std::uint32_t in_use_;
  std::uint32_t enough_ = 0;  ///< looks in a row that found one less enough
};

}  // namespace rxpool
