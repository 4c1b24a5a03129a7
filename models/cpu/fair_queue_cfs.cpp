// CFS, releases before 6.6 (SC-40 to SC-47).
#include <algorithm>
#include <limits>

#include "models/cpu/fair_queue.hpp"

namespace rxpool {
namespace {

/// Lower vruntime, then lower component id.
bool left_of(const Thread& a, const Thread& b) {
  return a.vruntime != b.vruntime ? a.vruntime < b.vruntime : a.component_id < b.component_id;
}

}  // namespace

std::int64_t FairQueue::cfs_slice_ns(const Thread& thread) const {
  std::size_t count = size();
  std::uint64_t load = current_ != nullptr ? current_->weight : 0;
  for (const Thread* queued : queued_) load += queued->weight;
  if (!thread.on_queue) {
    ++count;
    load += thread.weight;
  }
  // fair.c: sched_nr_latency is latency over granularity, 8 by default, rounded up when tuned.
  const std::int64_t most = (rules_.latency_ns + rules_.min_granularity_ns - 1) / rules_.min_granularity_ns;
  const auto threads = static_cast<std::int64_t>(count);
  const std::int64_t period_ns = threads > most ? threads * rules_.min_granularity_ns : rules_.latency_ns;
  const auto inverse = static_cast<std::uint32_t>(std::numeric_limits<std::uint32_t>::max() / load);
  return std::max(scale_by_weight(period_ns, thread.weight, inverse), rules_.min_granularity_ns);
}

void FairQueue::update_min_vruntime() {
  std::int64_t vruntime = min_vruntime_;
  const Thread* left = leftmost(nullptr);
  if (left != nullptr) vruntime = left->vruntime;
  if (current_ != nullptr && (left == nullptr || current_->vruntime < vruntime)) vruntime = current_->vruntime;
  min_vruntime_ = std::max(min_vruntime_, vruntime);
}

void FairQueue::place_cfs(Thread& thread, bool initial) {
  if (initial) {
    const std::int64_t start = current_ != nullptr ? current_->vruntime : min_vruntime_;
    thread.vruntime = std::max(start, min_vruntime_ + virtual_time(cfs_slice_ns(thread), thread));
    return;
  }
  const std::int64_t credited = min_vruntime_ - rules_.latency_ns / 2;
  thread.vruntime = thread.placed ? std::max(thread.vruntime, credited) : credited;
}

bool FairQueue::tick() {
  if (rules_.eevdf || size() < 2) return false;
  const Thread& running = *current_;
  const std::int64_t ideal_ns = cfs_slice_ns(running);
  const std::int64_t ran_ns = running.sum_exec_runtime_ns - running.picked_exec_ns;
  if (ran_ns > ideal_ns) {
    clear_buddies(running);
    return true;
  }
  return ran_ns >= rules_.min_granularity_ns && running.vruntime - leftmost(nullptr)->vruntime > ideal_ns;
}

int FairQueue::wakeup_preempt_entity(const Thread& running, const Thread& other) const {
  const std::int64_t ahead = running.vruntime - other.vruntime;
  if (ahead <= 0) return -1;
  return ahead > virtual_time(rules_.wakeup_granularity_ns, other) ? 1 : 0;
}

Thread* FairQueue::leftmost(const Thread* except) const {
  Thread* left = nullptr;
  for (Thread* thread : queued_) {
    if (thread != except && (left == nullptr || left_of(*thread, *left))) left = thread;
  }
  return left;
}

Thread* FairQueue::pick_cfs() const {
  // The running thread is kept only where it is strictly further left.
  const auto or_current = [this](Thread* left) {
    return left == nullptr || (current_ != nullptr && current_->vruntime < left->vruntime) ? current_ : left;
  };
  Thread* left = or_current(leftmost(nullptr));
  Thread* best = left;
  if (best != nullptr && best == skip_buddy_) {
    Thread* second = best == current_ ? leftmost(nullptr) : or_current(leftmost(best));
    if (second != nullptr && wakeup_preempt_entity(*second, *left) < 1) best = second;
  }
  if (next_buddy_ != nullptr && wakeup_preempt_entity(*next_buddy_, *left) < 1) best = next_buddy_;
  return best;
}

}  // namespace rxpool
