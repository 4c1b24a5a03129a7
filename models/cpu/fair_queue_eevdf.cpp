// EEVDF, releases 6.6 on (SC-20 to SC-36).
#include <algorithm>
#include <limits>

#include "models/cpu/fair_queue.hpp"

namespace rxpool {
namespace {

// Key times the weight of all threads outgrows 64 bits only after minutes without a reschedule; newer kernels use 128
// bits here as well (fair.c: vruntime_eligible).
__extension__ using Wide = __int128;

/// Lower deadline, then lower component id.
bool due_before(const Thread& a, const Thread& b) {
  return a.deadline != b.deadline ? a.deadline < b.deadline : a.component_id < b.component_id;
}

}  // namespace

FairQueue::Sums FairQueue::sums() const {
  Sums total;
  const auto add = [&](const Thread& thread) {
    total.weight += thread.weight;
    total.weighted_vruntime += (thread.vruntime - zero_vruntime_) * thread.weight;
  };
  for (const Thread* thread : queued_) add(*thread);
  if (current_ != nullptr) add(*current_);
  return total;
}

std::int64_t FairQueue::avg_vruntime() {
  const Sums total = sums();
  if (total.weight == 0) return zero_vruntime_;
  std::int64_t runtime = total.weighted_vruntime;
  if (runtime < 0) runtime -= total.weight - 1;
  zero_vruntime_ += runtime / total.weight;
  return zero_vruntime_;
}

bool FairQueue::eligible(const Thread& thread, const Sums& total) const {
  return total.weighted_vruntime >= Wide{thread.vruntime - zero_vruntime_} * total.weight;
}

bool FairQueue::eligible(const Thread& thread) const {
  return eligible(thread, sums());
}

std::int64_t FairQueue::min_slice_ns() const {
  std::int64_t slice_ns = current_ != nullptr ? current_->effective_slice_ns : std::numeric_limits<std::int64_t>::max();
  for (const Thread* thread : queued_) slice_ns = std::min(slice_ns, thread->effective_slice_ns);
  return slice_ns;
}

std::int64_t FairQueue::max_slice_ns() const {
  std::int64_t slice_ns = current_ != nullptr ? current_->effective_slice_ns : 0;
  for (const Thread* thread : queued_) slice_ns = std::max(slice_ns, thread->effective_slice_ns);
  return slice_ns;
}

bool FairQueue::update_deadline(Thread& thread) {
  if (thread.vruntime < thread.deadline) return false;
  thread.deadline = thread.vruntime + virtual_time(thread.effective_slice_ns, thread);
  avg_vruntime();
  return true;
}

std::int64_t FairQueue::entity_lag(const Thread& thread, std::int64_t avruntime) const {
  const std::int64_t limit_ns = rules_.lag_by_largest_slice ? max_slice_ns() + rules_.tick_ns
                                                            : std::max(2 * thread.effective_slice_ns, rules_.tick_ns);
  const std::int64_t limit = virtual_time(limit_ns, thread);
  return std::clamp(avruntime - thread.vruntime, -limit, limit);
}

bool FairQueue::update_lag(Thread& thread) {
  const std::int64_t avruntime = avg_vruntime();
  std::int64_t lag = entity_lag(thread, avruntime);
  if (rules_.delayed_lag_only_rises && thread.delayed) lag = std::min(std::max(lag, thread.vlag), std::int64_t{0});
  thread.vlag = lag;
  return avruntime - lag != thread.vruntime;
}

void FairQueue::place(Thread& thread, bool initial) {
  const std::int64_t avruntime = avg_vruntime();
  std::int64_t lag = 0;
  if (size() > 0) {
    const std::int64_t others = sums().weight;
    lag = thread.vlag * (others + thread.weight) / others;
  }
  thread.vruntime = avruntime - lag;
  if (thread.relative) {
    thread.relative = false;
    thread.deadline += thread.vruntime;
    return;
  }
  const std::int64_t slice = virtual_time(thread.effective_slice_ns, thread);
  thread.deadline = thread.vruntime + (initial ? slice / 2 : slice);
}

bool FairQueue::is_protected(const Thread& thread) const {
  if (rules_.protect_by_vruntime) return thread.vruntime < thread.protected_until;
  return thread.protected_until == thread.deadline;
}

void FairQueue::protect(Thread& thread) {
  thread.protected_until = thread.deadline;
  if (!rules_.protect_by_vruntime) return;
  const std::int64_t shortest = min_slice_ns();
  if (shortest < thread.effective_slice_ns) {
    thread.protected_until = std::min(thread.deadline, thread.vruntime + virtual_time(shortest, thread));
  }
}

void FairQueue::shorten_protection(Thread& thread) {
  thread.protected_until = std::min(thread.protected_until, thread.vruntime + virtual_time(min_slice_ns(), thread));
}

void FairQueue::cancel_protection(Thread& thread) {
  if (is_protected(thread)) thread.protected_until = rules_.protect_by_vruntime ? thread.vruntime : thread.deadline + 1;
}

bool FairQueue::overrides_protection(const Thread& woken, const Thread& running) const {
  if (!rules_.preempt_short || woken.effective_slice_ns >= running.effective_slice_ns) return false;
  const Sums total = sums();
  if (!eligible(woken, total)) return false;
  return woken.deadline < running.deadline || !eligible(running, total);
}

Thread* FairQueue::pick_eevdf(bool protect) const {
  if (size() == 1) return current_ != nullptr ? current_ : queued_.front();
  const Sums total = sums();
  Thread* running = current_ != nullptr && eligible(*current_, total) ? current_ : nullptr;
  if (running != nullptr && protect && is_protected(*running)) return running;
  Thread* best = nullptr;
  for (Thread* thread : queued_) {
    if ((best == nullptr || due_before(*thread, *best)) && eligible(*thread, total)) best = thread;
  }
  if (best == nullptr || (running != nullptr && running->deadline < best->deadline)) best = running;
  return best;
}

}  // namespace rxpool
