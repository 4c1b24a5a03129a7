#pragma once
// The fair class of one CPU: EEVDF (SC-20 to SC-36) from release 6.6 on, CFS (SC-40 to SC-47) before. It holds the
// queued threads and the running one, places, picks and removes them, and says when the running one should go. Keeps
// the kernel's integers (ns, weights of 1024, truncation) but scans an array instead of walking a tree: a CPU here has
// few threads, at most 64. Ties are broken by component id, where the kernel's tree keeps insertion order.

#include <cstdint>
#include <vector>

#include "models/cpu/scheduler_params.hpp"
#include "models/cpu/thread.hpp"

namespace rxpool {

class FairQueue {
 public:
  /// Room for `capacity` threads is taken once; afterwards nothing allocates.
  FairQueue(const SchedulerRules& rules, std::size_t capacity);

  /// Threads in the queue, the running one and delayed ones included (`cfs_rq->nr_queued`).
  std::size_t size() const { return queued_.size() + (current_ != nullptr ? 1 : 0); }
  std::size_t delayed() const;

  void set_weight(Thread& thread);
  /// Accounts `ran_ns` of CPU time to the running thread (SC-3); true if it should be rescheduled for it.
  bool account(std::int64_t ran_ns);
  /// Places a sleeping or new thread and queues it.
  void enqueue(Thread& thread, bool wakeup);
  /// Ends the delay of a thread that woke before it left the queue (SC-32).
  void wake_delayed(Thread& thread);
  /// The thread may stay in the queue, delayed; a running one then stays the current one until the next pick (SC-31).
  void dequeue(Thread& thread, bool sleep);
  /// True if the newly woken thread should preempt the running one (SC-30, SC-45).
  bool wakeup_preempts(Thread& woken);
  /// CFS only: the tick's own test, after account() (SC-44). EEVDF decides in account().
  bool tick();
  void yield();
  void reweight(Thread& thread, int nice);
  /// The thread to run next, the running one included; null if there is none. Delayed threads that come up leave.
  Thread* pick();
  /// Takes a picked thread out of the queue and makes it the running one.
  void set_current(Thread& thread);
  /// Puts the running thread back into the queue, unless it has left already.
  void put_current();

  /// The weighted mean of all vruntimes, rounded down (SC-20).
  std::int64_t avg_vruntime();
  bool eligible(const Thread& thread) const;

 private:
  struct Sums {
    std::int64_t weight = 0;
    std::int64_t weighted_vruntime = 0;  ///< relative to zero_vruntime_
  };
  Sums sums() const;
  bool eligible(const Thread& thread, const Sums& total) const;
  std::int64_t virtual_time(std::int64_t ns, const Thread& thread) const;
  std::int64_t min_slice_ns() const;
  std::int64_t max_slice_ns() const;
  void insert(Thread& thread);
  void remove(Thread& thread);
  void leave(Thread& thread);
  void clear_buddies(const Thread& thread);

  bool update_deadline(Thread& thread);
  std::int64_t entity_lag(const Thread& thread, std::int64_t avruntime) const;
  bool update_lag(Thread& thread);
  void place(Thread& thread, bool initial);
  bool is_protected(const Thread& thread) const;
  void protect(Thread& thread);
  void shorten_protection(Thread& thread);
  void cancel_protection(Thread& thread);
  bool overrides_protection(const Thread& woken, const Thread& running) const;
  Thread* pick_eevdf(bool protect) const;

  std::int64_t cfs_slice_ns(const Thread& thread) const;
  void update_min_vruntime();
  void place_cfs(Thread& thread, bool initial);
  int wakeup_preempt_entity(const Thread& running, const Thread& other) const;
  Thread* leftmost(const Thread* except) const;
  Thread* pick_cfs() const;

  SchedulerRules rules_;
  std::vector<Thread*> queued_;  ///< without the running thread; no order
  Thread* current_ = nullptr;
  std::int64_t zero_vruntime_ = 0;  ///< EEVDF: V at the last look, the zero point of keys
  std::int64_t min_vruntime_ = 0;   ///< CFS (SC-42)
  Thread* next_buddy_ = nullptr;    ///< CFS (SC-46)
  Thread* skip_buddy_ = nullptr;
};

}  // namespace rxpool
