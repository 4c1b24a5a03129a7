#include "models/memory/kswapd.hpp"

#include <algorithm>

#include "models/memory/page_allocator.hpp"

namespace rxpool {
namespace {

constexpr Time nap_time = milliseconds(100);  // HZ/10 in kswapd_try_to_sleep

}  // namespace

// One zone that could serve the request is enough (pgdat_balanced).
bool Kswapd::balanced() const {
  for (const Zone& zone : allocator_.zones()) {
    if (zone.node() == node_ && zone.kind() <= highest_ &&
        zone.watermark_ok(order_, zone.wmark_pages(Watermark::high), highest_, 0)) {
      return true;
    }
  }
  return false;
}

std::uint64_t Kswapd::boosted_pages() const {
  std::uint64_t pages = 0;
  for (const Zone& zone : allocator_.zones()) {
    if (zone.node() == node_ && zone.kind() <= highest_) {
      pages += zone.boost();
    }
  }
  return pages;
}

void Kswapd::wake(Time now, unsigned order, ZoneKind highest) {
  if (state_ == State::asleep) {
    order_ = order;
    highest_ = highest;
  } else {
    order_ = std::max(order_, order);
    highest_ = std::max(highest_, highest);
  }
  if (state_ == State::waking || state_ == State::reclaiming) {
    return;
  }
  if (hopeless() || (balanced() && boosted_pages() == 0)) {
    return;
  }
  ++stats.mm_vmscan_wakeup_kswapd;
  if (state_ == State::napping) {
    ++stats.kswapd_low_wmark_hit_quickly;  // woken before the nap was over
  }
  state_ = State::waking;
  next_step_ = now + parameters_.wake_latency;
}

void Kswapd::start_run() {
  ++stats.mm_vmscan_kswapd_wake;
  ++stats.pageoutrun;
  state_ = State::reclaiming;
  run_reclaimed_ = 0;
  boost_to_reclaim_ = boosted_pages();
  for (Zone& zone : allocator_.zones()) {
    if (zone.node() == node_ && zone.kind() <= highest_) {
      zone.reclaim_active = true;
      run_boost_[static_cast<unsigned>(zone.kind())] = zone.boost();
    }
  }
}

// End of balance_pgdat: the boost of this run is paid, the per-CPU lists may grow again.
void Kswapd::nap(Time now) {
  for (Zone& zone : allocator_.zones()) {
    if (zone.node() == node_) {
      zone.reclaim_active = false;
      zone.reduce_boost(run_boost_[static_cast<unsigned>(zone.kind())]);
    }
  }
  run_boost_ = {};
  state_ = State::napping;
  next_step_ = now + nap_time;
}

void Kswapd::step(MemoryContext& ctx) {
  if (state_ == State::asleep) {
    return;
  }
  if (state_ == State::napping) {
    if (hopeless() || balanced()) {
      state_ = State::asleep;
      next_step_ = Time::never();
      ++stats.mm_vmscan_kswapd_sleep;
      return;
    }
    ++stats.kswapd_high_wmark_hit_quickly;
    start_run();
  } else if (state_ == State::waking) {
    start_run();
  }
  const bool node_balanced = balanced();
  if (!node_balanced) {
    boost_to_reclaim_ = 0;  // real shortage goes before the boost
  } else if (boost_to_reclaim_ == 0) {
    failures_ = 0;
    nap(ctx.now);
    return;
  }
  const bool able = parameters_.time_per_page != Time::never();
  const std::uint32_t freed = able ? allocator_.reclaim_pages(ctx, node_, swap_cluster_max) : 0;
  stats.pgscan_kswapd += freed;
  stats.pgsteal_kswapd += freed;
  run_reclaimed_ += freed;
  boost_to_reclaim_ -= std::min<std::uint64_t>(boost_to_reclaim_, freed);
  if (freed == 0) {
    if (run_reclaimed_ == 0) {
      ++failures_;
    }
    nap(ctx.now);
    return;
  }
  failures_ = 0;
  next_step_ = ctx.now + parameters_.time_per_page * freed;
}

}  // namespace rxpool
