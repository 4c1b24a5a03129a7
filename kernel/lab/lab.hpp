#pragma once
// The laboratory: one veth pair in a namespace of its own, a generator, the policy, readers, probes, a 1 ms sampler.
// A TCP sender may take the generator's place; then the pool is the receiving queue's.
// On the live-frames path the pool under test is the generator's own (ring = batch, no NAPI owner, no posted pages),
// and `held` is hold - release - cache - ring, the median of five readings into which no refill fell. What differs from
// a NIC is said by python/rxpool/kernel/plan.py (LIMITS).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kernel/lab/agent.hpp"
#include "kernel/lab/plan.hpp"
#include "kernel/lab/policy.hpp"
#include "kernel/lab/probes.hpp"
#include "kernel/lab/reader.hpp"
#include "kernel/lab/tcp_sender.hpp"
#include "kernel/lab/xsk.hpp"

namespace rxpool::lab {

class Lab {
 public:
  /// Makes everything; throws Unavailable when this kernel or user cannot. What was sent, and when, goes to
  /// `realised_path` in the schedule's own format.
  Lab(const Plan& plan, const std::string& schedule_path, std::string realised_path);
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  /// Runs the plan; the samples, counters and places as JSON text.
  std::string run();

 private:
  struct Sample {
    PageLevels pool;  ///< time since the begin
    std::uint64_t sent = 0;
    std::uint64_t retransmitted = 0;
    std::uint64_t devmap_drops = 0;
    std::uint64_t cpumap_drops = 0;
    std::optional<std::uint64_t> xdp_drops;  ///< by the policy's own count
    std::vector<Reader::State> sockets;
    Xsk::State xsk;
  };

  void make_devices();
  void start_threaded_napi();
  void start_sender();
  void stop_sender();
  void generate();
  void watch();
  void make_xsk();
  Sample sample();
  std::string report() const;

  const Plan& plan_;
  std::string realised_path_;
  std::unique_ptr<Probes> probes_;
  std::unique_ptr<LabPolicy> policy_;
  std::unique_ptr<Agent> agent_;  ///< where the policy reads a signal
  std::vector<std::unique_ptr<Reader>> readers_;
  std::unique_ptr<Xsk> xsk_;        ///< where the plan has one
  std::unique_ptr<TcpSender> tcp_;  ///< likewise, in place of the generator
  std::thread generator_;
  std::vector<Sample> samples_;
  std::vector<std::uint8_t> frame_;
  std::int64_t begin_ns_ = 0;
  LabCounters totals_{};
  std::vector<ProbeCost> costs_;
  std::int64_t account_ns_ = 0;  ///< how long the costs were counted
  CpuTime host_;                 ///< of all CPUs from the first sample to the last
  std::string sender_, receiver_;
};

}  // namespace rxpool::lab
