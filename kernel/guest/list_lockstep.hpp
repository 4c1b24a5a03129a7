#pragma once
// Replays a log of the guest's per-CPU page lists (list_log.h) through models/memory and compares around every call:
// count, high, alloc_factor, the run of frees, how many pages came from and went to the buddy lists, and which page was
// handed out. Each CPU has the list of its own node's zone followed, from the first call that finds it empty; what
// other CPUs' calls or a worker drain out of it as a whole is given to the model, as are the zone's flags and the
// limits. Left out: the buddy lists themselves (PA-15), watermarks, lists of other nodes' zones (PA-26's drain), orders
// above 3. Rules: PA-11..14, PA-20..23, PA-26, PA-33.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel/guest/list_log.h"
#include "models/memory/zone.hpp"

namespace rxpool::guest {

struct ListReport {
  std::uint64_t operations = 0;  ///< calls replayed
  std::uint64_t foreign = 0;     ///< calls on lists that are not followed, or not yet
  std::uint64_t lists = 0;       ///< times that a list was taken up
  std::uint64_t pages_bound = 0;
  std::uint64_t differences = 0;
  std::vector<std::string> first_differences;  ///< at most 20
  std::map<std::string, std::uint64_t> rules;
};

class ListLockstep {
 public:
  explicit ListLockstep(KernelRelease release) : release_(release) {}
  /// Throws InputError when it is no such log.
  ListReport replay(std::span<const std::uint8_t> log);

 private:
  /// One CPU's list, in a zone of its own with more of every type than the list ever asks for.
  struct List {
    explicit List(KernelRelease release);
    PageTable pages;
    Zone zone;
    std::unordered_map<std::uint32_t, PageId> to_model;  ///< by the kernel's page; looked up only
    std::unordered_map<PageId, std::uint32_t> to_kernel;
    const PerCpuPages& pcp() const { return zone.pcp(0); }
  };

  void step(const ListLogOp& op);
  bool agrees_before(const List& list, const ListLogOp& op) const;
  void apply(List& list, const ListLogOp& op);
  void alloc(List& list, const ListLogOp& op);
  void free(List& list, const ListLogOp& op);
  PageId page_to_free(List& list, const ListLogOp& op);
  void compare(const List& list, const ListLogOp& op, const ZoneStats& before);
  void count_rules(const ListLogOp& op);
  void differ(const ListLogOp& op, const std::string& what);

  KernelRelease release_;
  std::map<std::uint8_t, std::unique_ptr<List>> lists_;  ///< by CPU; none while it is not followed
  ListReport report_;
};

}  // namespace rxpool::guest
