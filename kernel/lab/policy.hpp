#pragma once
// The XDP program on the receiving end: a verdict of the lab's own, or a policy's object with its parameters set; and
// what a policy shares with user space: the signal it reads (scenarios/policies/policy.bpf.h) and its count of
// verdicts.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/lab/plan.hpp"
#include "kernel/lab/probes.hpp"
#include "kernel/live/policy_object.hpp"
#include "models/bpf/contexts.hpp"

namespace rxpool::lab {

class LabPolicy {
 public:
  /// `plan.policy`: pass, drop, to_cpu, to_xsk, or the path of an object. Throws Unavailable when the kernel does not
  /// accept it.
  LabPolicy(const Plan& plan, Probes& probes);

  /// In the driver, without a link: it goes with the device.
  void attach(int ifindex) const;
  /// The first queue's signal in the program's memory; null where the policy reads none.
  bpf::Signal* signal() const { return signal_; }
  /// Packets that the policy says it dropped; nothing where it does not count.
  std::optional<std::uint64_t> dropped() const;

 private:
  void share_maps(const std::string& name);

  std::optional<PolicyObject> object_;  ///< none for a verdict of the lab's own
  int program_ = -1;
  bpf::Signal* signal_ = nullptr;
  int verdicts_ = -1;
  mutable std::vector<std::uint64_t> per_cpu_;
};

}  // namespace rxpool::lab
