#pragma once
// Loads lab.bpf.o: the pacer, the built-in verdicts, the probes. Probes that this kernel refuses are named with the
// reason, and what they would have counted is missing from the result, not zero.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "kernel/lab/lab.h"
#include "kernel/live/pool_levels.hpp"

namespace rxpool::lab {

/// What one probe took, by the kernel's own account; reading the clock for it is in it.
struct ProbeCost {
  std::string name;
  std::uint64_t runs = 0;
  std::uint64_t time_ns = 0;
};

class Probes {
 public:
  /// `ticks`: room for the timer's samples.
  Probes(const std::string& object_path, const std::string& schedule_path, std::size_t ticks);
  ~Probes();
  Probes(const Probes&) = delete;
  Probes& operator=(const Probes&) = delete;

  int program(const char* name) const;
  int map(const char* name) const;
  LabControl& control() { return bss_->control; }
  const LabCounters& counters() const { return bss_->counters; }
  /// The pool under test now: the median by `held` of several readings. For several threads.
  PageLevels levels();
  /// Samples in a timer's interrupt on that CPU from now on; missing where the kernel has no cpu-clock event.
  void start_timer(int cpu, std::int64_t period_ns);
  std::vector<PageLevels> timer_samples() const;
  /// From here to costs() the kernel keeps account of its BPF programs, which makes each run of one a little longer.
  void start_account();
  std::vector<ProbeCost> costs();
  std::uint64_t schedule_entries() const { return entries_; }
  /// The part of the schedule that was sent, with the times at which it was. Throws std::runtime_error.
  void write_realised(const std::string& path) const;
  /// "name: reason" of the probes that are not there.
  const std::vector<std::string>& missing() const { return missing_; }

 private:
  bpf_object* object_ = nullptr;
  LabShared* bss_ = nullptr;
  std::uint64_t entries_ = 0;
  const char* schedule_ = nullptr;
  const char* sampled_ = nullptr;
  std::size_t ticks_ = 0;
  int account_ = -1;
  std::mutex snapshot_;  ///< the program writes into one place
  std::vector<std::string> missing_;
};

}  // namespace rxpool::lab
