#pragma once
// One application of a plan: a UDP socket, or one TCP connection, and the thread that reads it at the plan's pace, with
// its pauses.

#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "kernel/lab/plan.hpp"

namespace rxpool::lab {

/// Throws Unavailable when the CPU does not exist.
void run_on_cpu(int cpu);
/// Runs before every ordinary thread of this host, so that what else it does delays the lab less; a sampler before a
/// thread that works. Thread 0 is the caller. Where the user may not, only the nice value changes, or nothing.
enum class Urgency { works = 1, samples = 2 };
void go_before_others(Urgency urgency, int thread = 0);
/// The highest ordinary priority for the caller: it never sleeps, so the host must be able to go on beside it.
void go_first();
/// Ids of the host's threads whose name begins so.
std::vector<int> threads_called(const std::string& beginning);
/// The scheduler shares CPU time among sessions first; ours becomes one of its own, with the highest weight.
void leave_autogroup();

/// Is the application in one of its pauses?
bool pauses_at(const std::vector<Pause>& pauses, double at_ms);
/// Spends that much time.
void work_ns(double duration_ns);

class Reader {
 public:
  /// Opens the socket; reads nothing before start(). One that shares its CPU with another reader must leave
  /// it to the scheduler who runs.
  Reader(const SocketPlan& plan, bool shares_cpu);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// A TCP connection has been made by now; throws Unavailable otherwise.
  void start(std::int64_t begin_ns);
  void stop();

  struct State {
    double received = 0;  ///< datagrams, or full segments' worth of bytes, read by the application
    std::uint32_t rmem_alloc = 0;
    std::uint32_t drops = 0;  ///< sk_drops
  };
  State state() const;
  std::uint32_t rcvbuf() const;  ///< as the kernel has it
  const SocketPlan& plan() const { return plan_; }

 private:
  void read_until_stopped(std::int64_t begin_ns);
  /// Packets that one call took; 0 after a millisecond without any.
  double receive_datagrams();
  double receive_bytes();

  const SocketPlan& plan_;
  bool shares_cpu_;
  int listening_ = -1;         ///< where the socket is TCP
  int fd_ = -1;                ///< that is read; of a connection from start() on
  std::vector<char> data_;     ///< of one batch
  std::vector<iovec> pieces_;  ///< of datagrams
  std::vector<mmsghdr> messages_;
  std::atomic<bool> stop_ = false;
  std::atomic<double> received_ = 0;
  std::thread thread_;
};

}  // namespace rxpool::lab
