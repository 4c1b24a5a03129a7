#pragma once
// The other end of a TCP socket under test: a plain socket that sends without end from the far end of the veth pair,
// which lies in a network namespace of its own, because packets between two addresses of one namespace would not leave
// it. The pool under test is then the receiving queue's: with an XDP program attached, veth copies every segment into a
// page of it. Time stamps are off, so that a full frame carries 1460 bytes, as the simulator's do.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "kernel/lab/plan.hpp"

namespace rxpool::lab {

class TcpSender {
 public:
  /// Payload of a full segment in bytes.
  static constexpr std::uint32_t segment_bytes = 1460;

  /// Takes the interface away into the new namespace and brings it up there; throws Unavailable when the kernel
  /// refuses.
  TcpSender(const TcpPlan& plan, int cpu, const std::string& interface);
  ~TcpSender();
  TcpSender(const TcpSender&) = delete;
  TcpSender& operator=(const TcpSender&) = delete;

  /// Somebody listens by now.
  void connect();
  void start(std::int64_t begin_ns);
  void stop();

  struct State {
    std::uint64_t segments = 0;       ///< with data, again or not
    std::uint64_t retransmitted = 0;  ///< of these, sent again
  };
  State state() const;

 private:
  void send_until_stopped(std::int64_t begin_ns) const;

  const TcpPlan& plan_;
  int cpu_;
  int namespace_ = -1;
  int fd_ = -1;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace rxpool::lab
