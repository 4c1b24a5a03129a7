#include "models/xdp/cpumap_bulk.hpp"

#include <algorithm>

namespace rxpool {

CpumapBulk::Queue& CpumapBulk::queue_of(CpumapEntry& entry) {
  for (Queue& queue : queues_) {
    if (queue.entry == &entry) return queue;
  }
  queues_.emplace_back().entry = &entry;
  return queues_.back();
}

void CpumapBulk::enqueue(CpumapEntry& entry, SkbId frame) {
  Queue& queue = queue_of(entry);
  queue.frames[queue.count++] = frame;
  if (queue.count == 1) flush_list_.push_back(&queue);
  if (queue.count > bulk) overfull_ = &queue;
}

bool CpumapBulk::send(Core& core, Queue& queue) {
  const std::uint32_t count = std::min(queue.count, bulk);
  if (!queue.entry->enqueue(core, std::span(queue.frames).first(count))) return false;
  std::copy(queue.frames.begin() + count, queue.frames.begin() + queue.count, queue.frames.begin());
  queue.count -= count;
  return true;
}

bool CpumapBulk::send_overfull(Core& core) {
  if (!send(core, *overfull_)) return false;
  // Sending takes a queue off the list, the frame that is left puts it back, in front of the others.
  std::erase(flush_list_, overfull_);
  flush_list_.push_back(overfull_);
  overfull_ = nullptr;
  return true;
}

bool CpumapBulk::flush(Core& core) {
  if (overfull_ != nullptr && !send_overfull(core)) return false;
  while (!flush_list_.empty()) {
    Queue& queue = *flush_list_.back();
    if (!wake_due_) {
      if (!send(core, queue)) return false;
      wake_due_ = true;
    }
    if (!queue.entry->wake_up(core)) return false;
    wake_due_ = false;
    flush_list_.pop_back();
  }
  return true;
}

}  // namespace rxpool
