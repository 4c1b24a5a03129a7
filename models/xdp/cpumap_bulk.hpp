#pragma once
// Bulk queues of one NAPI to entries of a cpumap: eight frames each (XD-31). The kernel keeps them per CPU and entry; a
// NAPI empties them before its poll ends, so one per NAPI and entry is the same.

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "models/xdp/cpumap.hpp"

namespace rxpool {

class CpumapBulk {
 public:
  /// cpu_map_enqueue; afterwards overfull() says whether a bulk has to go to its ring first.
  void enqueue(CpumapEntry& entry, SkbId frame);
  bool overfull() const { return overfull_ != nullptr; }
  /// The bulk that a ninth frame was added to goes to its ring. False: others come first.
  bool send_overfull(Core& core);
  bool pending() const { return !flush_list_.empty(); }
  /// __cpu_map_flush: what is left goes to the rings, and the threads are woken. Resumable; false: others come first.
  bool flush(Core& core);

  template <typename Visit>
  void for_each_frame(Visit&& visit) const {
    for (const Queue& queue : queues_) {
      for (std::uint32_t i = 0; i < queue.count; ++i) visit(queue.frames[i]);
    }
  }

 private:
  static constexpr std::uint32_t bulk = 8;  // CPU_MAP_BULK_SIZE
  struct Queue {
    CpumapEntry* entry = nullptr;
    std::array<SkbId, bulk + 1> frames;
    std::uint32_t count = 0;
  };
  Queue& queue_of(CpumapEntry& entry);
  bool send(Core& core, Queue& queue);

  std::deque<Queue> queues_;        ///< references stay valid
  std::vector<Queue*> flush_list_;  ///< the last is flushed first
  Queue* overfull_ = nullptr;
  bool wake_due_ = false;  ///< the bulk of the queue at hand is in its ring
};

}  // namespace rxpool
