#include "models/control/cpu_scaler.hpp"

namespace rxpool {

std::uint32_t CpuScaler::look(Time busy, std::uint64_t drops) {
  const double cpus = static_cast<double>(busy.ps) / static_cast<double>(params_.period.ps);
  if (drops != 0 || cpus > params_.high * in_use_) {
    enough_ = 0;
    if (in_use_ < params_.most) ++in_use_;
    return in_use_;
  }
  const bool one_less_suffices = in_use_ > 1 && cpus < params_.low * (in_use_ - 1);
  enough_ = one_less_suffices ? enough_ + 1 : 0;
  if (enough_ < params_.patience || !one_less_suffices) return in_use_;
  enough_ = 0;
  return --in_use_;
}

}  // namespace rxpool
