#pragma once
// Replays a log of the guest's per-CPU page lists (list_log.h) through models/memory and compares after every free and
// every decay: count, high, alloc_factor, the run of frees, and how much went to the buddy lists. What a call starts
// from is taken from the log, because allocations lie between the calls and cannot be seen; what it does is the
// model's. Left out: allocations (PA-11..13, PA-33), which pages a flush picks (PA-23), huge pages, the drain of other
// nodes' lists. Rules: PA-14, PA-20..22, PA-26; mm/page_alloc.c: free_frozen_page_commit, decay_pcp_high.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernel/guest/list_log.h"
#include "models/memory/zone.hpp"

namespace rxpool::guest {

struct ListReport {
  std::uint64_t operations = 0;  ///< calls replayed
  std::uint64_t set_aside = 0;   ///< of orders that have no list here; decays with a free inside
  std::uint64_t differences = 0;
  std::vector<std::string> first_differences;  ///< at most 20
  std::map<std::string, std::uint64_t> rules;  ///< how often each was reached
};

class ListLockstep {
 public:
  explicit ListLockstep(KernelRelease release) : release_(release) {}
  /// Throws InputError when it is no such log.
  ListReport replay(std::span<const std::uint8_t> log);

 private:
  /// One list, in a zone of its own with more pages than the list ever holds, all movable: no count asks for a type.
  struct List {
    explicit List(KernelRelease release);
    /// As many pages as the kernel's list had, and what that had learnt.
    void start_from(const ListLogCounts& before);
    PageTable pages;
    Zone zone;
  };

  void step(const ListLogOp& op);
  static bool counts_agree(const ListLogOp& op, int model, std::uint64_t given);
  void compare(const ListLogOp& op, const PerCpuPages& pcp, std::uint64_t given);
  void count_rules(const ListLogOp& op);

  KernelRelease release_;
  std::map<std::pair<std::uint32_t, std::uint8_t>, std::unique_ptr<List>> lists_;  ///< by zone and CPU
  ListReport report_;
};

}  // namespace rxpool::guest
