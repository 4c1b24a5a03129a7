#pragma once
// Loads lab.bpf.o: the pacer, the built-in verdicts, the probes. Probes that this kernel refuses are named with the
// reason, and what they would have counted is missing from the result, not zero.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/lab/lab.h"

namespace rxpool::lab {

class Probes {
 public:
  Probes(const std::string& object_path, const std::string& schedule_path);
  ~Probes();
  Probes(const Probes&) = delete;
  Probes& operator=(const Probes&) = delete;

  int program(const char* name) const;
  LabControl& control() { return bss_->control; }
  const LabCounters& counters() const { return bss_->counters; }
  /// Takes a snapshot now.
  const LabSnapshot& snapshot();
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
  std::vector<std::string> missing_;
};

}  // namespace rxpool::lab
