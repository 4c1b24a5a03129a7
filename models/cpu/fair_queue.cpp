#include "models/cpu/fair_queue.hpp"

#include <algorithm>

#include "sim/error.hpp"

namespace rxpool {

FairQueue::FairQueue(const SchedulerRules& rules, std::size_t capacity) : rules_(rules) {
  queued_.reserve(capacity);
}

std::size_t FairQueue::delayed() const {
  const auto count =
      std::count_if(queued_.begin(), queued_.end(), [](const Thread* thread) { return thread->delayed; });
  return static_cast<std::size_t>(count) + (current_ != nullptr && current_->delayed ? 1 : 0);
}

void FairQueue::set_weight(Thread& thread) {
  thread.weight = nice_weight(thread.nice);
  thread.inverse_weight = nice_inverse_weight(thread.nice);
  thread.effective_slice_ns = thread.slice_ns != 0 ? thread.slice_ns : rules_.base_slice_ns;
}

bool FairQueue::account(std::int64_t ran_ns) {
  Thread& running = *current_;
  running.sum_exec_runtime_ns += ran_ns;
  running.vruntime += virtual_time(ran_ns, running);
  if (!rules_.eevdf) {
    update_min_vruntime();
    return false;
  }
  const bool expired = update_deadline(running);
  if (size() == 1) return false;
  if (rules_.protect_by_vruntime) return expired || !is_protected(running);
  return expired || (rules_.preempt_short && !is_protected(running) && !eligible(running));
}

void FairQueue::enqueue(Thread& thread, bool wakeup) {
  const bool initial = !wakeup && !thread.placed;
  if (rules_.eevdf) {
    place(thread, initial);
  } else {
    if (thread.relative) thread.vruntime += min_vruntime_;
    thread.relative = false;
    if (wakeup || initial) place_cfs(thread, initial);
  }
  thread.placed = true;
  thread.on_queue = true;
  insert(thread);
}

void FairQueue::wake_delayed(Thread& thread) {
  bool moves = update_lag(thread);
  if (!rules_.delayed_lag_only_rises) {
    moves = thread.vlag > 0;
    if (moves) thread.vlag = 0;
  }
  if (moves) {
    remove(thread);
    place(thread, false);
    insert(thread);
  }
  thread.delayed = false;
}

void FairQueue::dequeue(Thread& thread, bool sleep) {
  clear_buddies(thread);
  if (!rules_.eevdf) {
    leave(thread);
    if (!sleep) {
      thread.vruntime -= min_vruntime_;
      thread.relative = true;
    }
    update_min_vruntime();
    return;
  }
  if (rules_.delay_dequeue && sleep && !eligible(thread)) {
    if (rules_.delayed_lag_only_rises) update_lag(thread);
    thread.delayed = true;
    return;
  }
  update_lag(thread);
  if (!sleep && rules_.relative_deadline) {
    thread.deadline -= thread.vruntime;
    thread.relative = true;
  }
  leave(thread);
}

bool FairQueue::wakeup_preempts(Thread& woken) {
  Thread& running = *current_;
  if (!rules_.eevdf) {
    if (wakeup_preempt_entity(running, woken) != 1) return false;
    next_buddy_ = &woken;
    return true;
  }
  if (!rules_.protect_by_vruntime) {
    if (overrides_protection(woken, running)) cancel_protection(running);
    return pick_eevdf(true) == &woken;
  }
  const bool shorter = woken.effective_slice_ns < running.effective_slice_ns;
  if (pick_eevdf(!shorter) == &woken) {
    if (shorter) cancel_protection(running);
    return true;
  }
  if (shorter || rules_.wakeup_always_shortens_protection) shorten_protection(running);
  return false;
}

void FairQueue::yield() {
  Thread& running = *current_;
  clear_buddies(running);
  if (!rules_.eevdf) {
    skip_buddy_ = &running;
  } else if (!rules_.yield_forfeits) {
    running.deadline += virtual_time(running.effective_slice_ns, running);
  } else if (eligible(running)) {
    running.vruntime = running.deadline;
    update_deadline(running);
  }
}

void FairQueue::reweight(Thread& thread, int nice) {
  const std::int64_t old_weight = thread.weight;
  const std::int64_t new_weight = nice_weight(nice);
  const auto rescaled = [&](std::int64_t virtual_ns) { return virtual_ns * old_weight / new_weight; };
  if (rules_.eevdf && thread.on_queue) {
    const std::int64_t avruntime = avg_vruntime();
    const bool was_protected = is_protected(thread);
    thread.vlag = rescaled(entity_lag(thread, avruntime));
    thread.vruntime = avruntime - thread.vlag;
    thread.deadline = avruntime + rescaled(thread.deadline - avruntime);
    if (rules_.protect_by_vruntime) {
      if (was_protected) thread.protected_until = avruntime + rescaled(thread.protected_until - avruntime);
    } else if (was_protected) {
      thread.protected_until = thread.deadline;
    }
  } else if (rules_.eevdf) {
    thread.vlag = rescaled(thread.vlag);
    if (thread.relative) thread.deadline = rescaled(thread.deadline);
  }
  thread.nice = nice;
  set_weight(thread);
}

Thread* FairQueue::pick() {
  if (!rules_.eevdf) return pick_cfs();
  for (;;) {
    Thread* thread = pick_eevdf(true);
    if (thread == nullptr || !thread->delayed) return thread;
    update_lag(*thread);
    if (thread->vlag > 0) thread->vlag = 0;
    leave(*thread);
    thread->delayed = false;
  }
}

void FairQueue::set_current(Thread& thread) {
  clear_buddies(thread);
  remove(thread);
  if (rules_.eevdf) protect(thread);
  thread.picked_exec_ns = thread.sum_exec_runtime_ns;
  current_ = &thread;
}

void FairQueue::put_current() {
  if (current_ != nullptr) insert(*current_);
  current_ = nullptr;
}

void FairQueue::insert(Thread& thread) {
  queued_.push_back(&thread);
}

void FairQueue::remove(Thread& thread) {
  const auto it = std::find(queued_.begin(), queued_.end(), &thread);
  ensure(it != queued_.end(), "run queue: a thread is not where its state says");
  *it = queued_.back();
  queued_.pop_back();
}

void FairQueue::leave(Thread& thread) {
  if (current_ == &thread) {
    current_ = nullptr;
  } else {
    remove(thread);
  }
  thread.on_queue = false;
}

void FairQueue::clear_buddies(const Thread& thread) {
  if (next_buddy_ == &thread) next_buddy_ = nullptr;
  if (skip_buddy_ == &thread) skip_buddy_ = nullptr;
}

std::int64_t FairQueue::virtual_time(std::int64_t ns, const Thread& thread) const {
  return thread.weight == nice_0_weight ? ns : scale_by_weight(ns, nice_0_weight, thread.inverse_weight);
}

}  // namespace rxpool
