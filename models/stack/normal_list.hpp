#pragma once
// skbs on their way to the stack (napi->rx_list, the list of a cpumap entry): collected, then handed over one by one,
// each a step (SK-13).

#include <cstdint>
#include <span>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/stack/stack.hpp"

namespace rxpool {

class NormalList {
 public:
  /// `batch`: gro_normal_batch; `most`: skbs that may be added between two deliveries.
  NormalList(std::uint32_t batch, std::uint32_t most) : batch_(batch) { skbs_.reserve(most); }

  void add(SkbId id) { skbs_.push_back(id); }
  /// Has to be delivered before the next is added.
  bool full() const { return skbs_.size() >= batch_; }
  /// How many may be added until then.
  std::size_t room() const { return full() ? 0 : batch_ - skbs_.size(); }
  /// Resumable; false: others or an interrupt come first.
  bool deliver(Core& core, Stack& stack, const NetfilterParams& rules) {
    while (delivered_ < skbs_.size()) {
      if (core.interrupt_due() || !stack.receive(core, skbs_[delivered_], rules)) return false;
      ++delivered_;
    }
    skbs_.clear();
    delivered_ = 0;
    return true;
  }
  std::span<const SkbId> undelivered() const { return std::span(skbs_).subspan(delivered_); }

 private:
  std::uint32_t batch_;
  std::vector<SkbId> skbs_;
  std::size_t delivered_ = 0;
};

}  // namespace rxpool
