#pragma once
// A named NIC taken over for a time: rings and queues as the plan wants them, a recorder with the policy behind it on
// XDP, the levels of the NIC's page_pools every so often, counters before and after. Packets come from the wire. What a
// pool has outside of it contains the pages that are posted in descriptors; they are not told apart here.

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernel/attach/attach.h"
#include "kernel/attach/lease.hpp"
#include "kernel/attach/nic_settings.hpp"
#include "kernel/live/policy_object.hpp"
#include "kernel/live/pool_levels.hpp"

struct bpf_object;

namespace rxpool::attach {

struct AttachPlan {
  std::string interface;
  double duration_ms = 0;
  double sample_us = 1000;
  std::uint64_t packets = 1'000'000;     ///< recorded at most
  std::uint32_t rx_ring = 0;             ///< entries; 0 as it is
  std::uint32_t rx_queues = 0;           ///< 0 as they are
  std::string policy = "pass";           ///< pass, drop, or a BPF object
  std::map<std::string, double> params;  ///< of the object's variables
  std::string state = "/run/rxpool";     ///< folder of the state files
  double dead_man_s = 5;
};

/// Throws std::runtime_error naming the key.
AttachPlan read_attach_plan(const std::string& path);

class Attachment {
 public:
  /// Takes the NIC; throws Unavailable when this kernel, driver or user cannot.
  Attachment(const AttachPlan& plan, const std::string& object_path);
  ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  /// Watches until the time is over or the process is asked to end; gives the NIC back and returns what was seen. The
  /// recorded packets (attach.h) go to `packets_path`.
  nlohmann::json run(const std::string& packets_path);

 private:
  struct Pool {
    std::uint32_t slot = 0;
    std::vector<PageLevels> levels;
  };

  void load(const std::string& object_path);
  void attach();
  void sample();
  std::map<std::string, std::uint64_t> counters() const;
  void write_packets(const std::string& path) const;
  nlohmann::json pools_report() const;
  int program(const char* name) const;

  const AttachPlan& plan_;
  Nic nic_;
  std::unique_ptr<Lease> lease_;
  bpf_object* object_ = nullptr;
  std::optional<PolicyObject> policy_;
  AttachShared* shared_ = nullptr;
  const char* packets_ = nullptr;
  std::uint64_t packets_room_ = 0;
  int link_ = -1;
  std::int64_t begin_ns_ = 0;
  std::vector<Pool> pools_;
  std::vector<std::string> missing_;
};

}  // namespace rxpool::attach
