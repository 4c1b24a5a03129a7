#pragma once
// A schedulable thread: ksoftirqd, a threaded NAPI, a cpumap kthread, kswapd, an application. Intrusive: its owner
// keeps the object and attaches it to the RunQueue of its CPU, which alone writes the scheduling state (SC-20 to
// SC-51). What the thread does when it runs is not here; the owner derives from Thread or keeps it as a member. Leaves
// out migration: the scenario gives the CPU.

#include <cstdint>
#include <string>

#include "sim/time.hpp"

namespace rxpool {

enum class ThreadState : std::uint8_t { sleeping, runnable, running };
enum class SchedulingPolicy : std::uint8_t { normal, fifo };

struct Thread {
  // The owner's, fixed when the thread is attached; nice changes through RunQueue::set_nice only.
  std::string name;
  std::uint32_t component_id = 0;  ///< breaks ties, from sorted component names
  SchedulingPolicy policy = SchedulingPolicy::normal;
  int nice = 0;               ///< -20 to 19, normal threads
  int rt_priority = 0;        ///< 1 to 99 for fifo, larger first (SC-8); 0 for normal
  std::int64_t slice_ns = 0;  ///< requested slice, 100 µs to 100 ms (SC-35); 0 = base_slice_ns

  // The run queue's.
  ThreadState state = ThreadState::sleeping;
  bool on_queue = false;  ///< counted in the queue; also while its dequeue is delayed (SC-31)
  bool delayed = false;   ///< asleep, but still competing until its lag is paid
  bool placed = false;    ///< has been in the queue before
  bool relative = false;  ///< left without sleep: its deadline (EEVDF) or vruntime (CFS) is relative (SC-36)
  std::uint32_t weight = 0;
  std::uint32_t inverse_weight = 0;
  std::int64_t vruntime = 0;         ///< weighted ns
  std::int64_t deadline = 0;         ///< virtual deadline, weighted ns
  std::int64_t vlag = 0;             ///< V - vruntime when it left the queue, weighted ns
  std::int64_t protected_until = 0;  ///< `vprot`, or the deadline at the last pick (SC-26)
  std::int64_t effective_slice_ns = 0;
  std::int64_t picked_exec_ns = 0;  ///< sum_exec_runtime_ns when it was last picked
  std::uint64_t fifo_order = 0;
  Time waiting_since;

  // Counters, by their kernel names (SC-51).
  std::int64_t sum_exec_runtime_ns = 0;
  Time run_delay;            ///< time runnable but not running
  std::uint64_t pcount = 0;  ///< times it got the CPU
  std::uint64_t nr_voluntary_switches = 0;
  std::uint64_t nr_involuntary_switches = 0;
};

}  // namespace rxpool
