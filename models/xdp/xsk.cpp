#include "models/xdp/xsk.hpp"

#include <algorithm>

namespace rxpool {

bool Xsk::populate(MemoryContext& context, PageAllocator& allocator) {
  free_.reserve(params_.frames);
  for (std::uint32_t i = 0; i < params_.frames; ++i) {
    const PageId frame = allocator.alloc_pages(context, gfp::kernel | gfp::noretry, 0);
    if (frame == no_page) return false;
    allocator.page(frame).place = PagePlace::user_ring;
    if (fill_.has_room(Time{0})) {
      fill_.produce(frame);
    } else {
      ++spare_;
    }
  }
  fill_.submit(Time{0});
  return true;
}

PageId Xsk::allocate(Time now) {
  if (!free_.empty()) {
    const PageId frame = free_.back();
    free_.pop_back();
    return frame;
  }
  if (!fill_.readable(now)) return no_page;
  const PageId frame = fill_.consume();
  fill_.release(now);
  return frame;
}

bool Xsk::flush(Core& core) {
  if (core.interrupt_due() || !core.may_step(EventClass::poll)) return false;
  const bool wakes = reader_->data_ready();
  if (wakes) core.charge(Step::socket_wakeup);
  rx_.submit(core.now());
  observe(core.now());
  if (!wakes) return true;
  Task& task = reader_->task();
  if (task.home == &core) {
    core.wake(task);
  } else {
    task.home->wake_remotely(task, core.now());
  }
  return true;
}

}  // namespace rxpool
