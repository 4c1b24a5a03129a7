#pragma once
// The laboratory: one veth pair in a namespace of its own, a generator, the policy, readers, probes, a 1 ms sampler.
// On the live-frames path the pool under test is the generator's own (ring = batch, no NAPI owner, no posted pages),
// and `held` is hold - release - cache - ring, the median of five readings into which no refill fell. What differs from
// a NIC is said by python/rxpool/kernel/plan.py (LIMITS).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernel/lab/plan.hpp"
#include "kernel/lab/probes.hpp"
#include "kernel/lab/reader.hpp"

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
    std::int64_t time_ns = 0;
    std::int32_t inflight = 0;
    std::int32_t held = 0;
    std::uint32_t cache = 0;
    std::uint32_t ring = 0;
    std::uint64_t sent = 0;
    std::uint64_t devmap_drops = 0;
    std::vector<Reader::State> sockets;
  };

  void make_devices();
  void attach_policy();
  void start_threaded_napi();
  void generate();
  Sample sample();
  std::string report() const;

  const Plan& plan_;
  std::string realised_path_;
  std::unique_ptr<Probes> probes_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::vector<Sample> samples_;
  std::vector<std::uint8_t> frame_;
  std::int64_t begin_ns_ = 0;
  LabCounters totals_{};
  bpf_object* policy_ = nullptr;
  std::string sender_, receiver_;
};

}  // namespace rxpool::lab
