#pragma once
// The ways an skb's page gets home (SK-40 to SK-44): freed in softirq, freed by the reader on the allocating CPU, or
// left on the allocating CPU's deferred list. Each free is one step, because it returns the page that others wait for.

#include <cstdint>
#include <memory>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/stack/skb.hpp"

namespace rxpool {

class SkbFree;

/// softnet_data.defer_list of one CPU (SK-42).
class DeferList final : public DeferredWork {
 public:
  explicit DeferList(SkbFree& free) : free_(free) {}
  bool flush(Core& core) override;

 private:
  friend class SkbFree;
  SkbFree& free_;
  std::vector<SkbId> skbs_;
  std::size_t next_ = 0;     ///< first not yet flushed
  std::size_t end_ = 0;      ///< of the flush that has begun
  std::uint32_t count_ = 0;  ///< rejected frees count too, until the next flush (SK-40)
};

struct SkbFreeStats {
  std::uint64_t deferred = 0;  ///< left on another CPU's list
  std::uint64_t rejected = 0;  ///< list full: freed where they were
  std::uint64_t local = 0;     ///< freed at once on the allocating CPU
};

class SkbFree {
 public:
  SkbFree(SkbSlab& slab, std::uint32_t skb_defer_max) : slab_(slab), skb_defer_max_(skb_defer_max) {}
  /// Gives `core` its deferred list; cores in the order of their numbers.
  void add(Core& core);

  /// May the page go home now? If it could reach the zone and it is not this core's turn, the core has re-armed.
  bool may_free(Core& core, SkbId id, bool in_softirq, EventClass event_class);
  /// Frees one skb: in softirq or with bottom halves disabled (napi_consume_skb, kfree_skb), or without.
  void free(Core& core, SkbId id, bool in_softirq);
  /// skb_attempt_defer_free: what a reader does with a packet it has copied.
  bool attempt_defer(Core& core, SkbId id);

  /// How many skbs each other CPU may surely leave on this CPU's list before one of them interrupts it or frees an skb
  /// itself (SK-43).
  std::uint32_t unnoticed_defers(std::uint16_t cpu) const;

  template <typename Visit>
  void for_each_deferred(Visit&& visit) const {
    for (const auto& list : lists_) {
      for (std::size_t i = list->next_; i < list->skbs_.size(); ++i) visit(list->skbs_[i]);
    }
  }
  const SkbFreeStats& stats() const { return stats_; }
  /// Records returns of sampled packets from now on.
  void set_trace(Trace* trace) { trace_ = trace; }

 private:
  friend class DeferList;
  /// With so many on a list its CPU is interrupted.
  std::uint32_t kick_at() const { return (skb_defer_max_ >> 1) + 1; }

  SkbSlab& slab_;
  std::uint32_t skb_defer_max_;
  std::vector<Core*> cores_;
  std::vector<std::unique_ptr<DeferList>> lists_;
  SkbFreeStats stats_;
  Trace* trace_ = nullptr;
};

}  // namespace rxpool
