#pragma once
// One application of a plan: a UDP socket and the thread that reads it at the plan's pace, with its pauses.

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "kernel/lab/plan.hpp"

namespace rxpool::lab {

/// Nanoseconds of CLOCK_MONOTONIC.
std::int64_t now_ns();
void sleep_until_ns(std::int64_t time_ns);
/// Throws Unavailable when the CPU does not exist.
void run_on_cpu(int cpu);
/// Gives a thread (0: the caller) the highest ordinary priority, so that others on this host delay it less. Where the
/// user may not, it stays as it is.
void go_first(int thread = 0);
/// The same for the calling thread before every ordinary one: for a sampler, which sleeps nearly always.
void go_before_all();
/// The scheduler shares CPU time among sessions first; ours becomes one of its own, with the highest weight.
void leave_autogroup();

class Reader {
 public:
  /// Opens the socket; reads nothing before start().
  explicit Reader(const SocketPlan& plan);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void start(std::int64_t begin_ns);
  void stop();

  struct State {
    std::uint64_t received = 0;  ///< datagrams read by the application
    std::uint32_t rmem_alloc = 0;
    std::uint32_t drops = 0;  ///< sk_drops
  };
  State state() const;
  std::uint32_t rcvbuf() const;  ///< as the kernel has it
  const SocketPlan& plan() const { return plan_; }

 private:
  void read_until_stopped(std::int64_t begin_ns);
  bool paused(double at_ms) const;

  const SocketPlan& plan_;
  int fd_ = -1;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> received_ = 0;
  std::thread thread_;
};

}  // namespace rxpool::lab
