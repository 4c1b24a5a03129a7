#include "models/control/page_return.hpp"

#include <algorithm>
#include <cmath>

namespace rxpool {

std::uint32_t PageReturn::pages_to_return(const PoolLevels& levels) {
  if (params_.rule == ReturnRule::never) return 0;
  const double step = static_cast<double>(levels.step.ps);
  double pages = 0;
  if (params_.rule == ReturnRule::immediate) {
    pages = levels.ring_pages;
  } else {
    if (!levels.known) return 0;
    // What the traffic may take again without asking the page allocator stays.
    const double need = std::max(0.0, levels.working_set * (1 + params_.slack) - levels.held);
    const double above = std::max(0.0, levels.free_pages - need);
    if (params_.rule == ReturnRule::watermark) {
      pages = above;
    } else if (params_.rule == ReturnRule::paced) {
      credit_ = above > 0 ? credit_ + params_.pages_per_ms * step * 1e-9 : 0;
      pages = std::min(above, std::floor(credit_));
      credit_ -= pages;
    } else {
      constexpr double ln2 = 0.6931471805599453;
      const double half_life = static_cast<double>(params_.half_life.ps);
      credit_ = above > 0 ? credit_ + above * ln2 * step / (half_life + ln2 * step) : 0;
      pages = std::min(above, std::floor(credit_));
      credit_ -= pages;
    }
  }
  return static_cast<std::uint32_t>(std::min(pages, levels.ring_pages));
}

std::uint32_t PageReturn::limit(const PoolLevels& levels) const {
  if (params_.limit == LimitRule::none || !levels.known) return 0;
  return static_cast<std::uint32_t>(std::ceil(levels.posted + levels.working_set * (1 + params_.slack)));
}

}  // namespace rxpool
