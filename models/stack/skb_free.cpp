#include "models/stack/skb_free.hpp"

#include <algorithm>

#include "models/memory/rx_pages.hpp"
#include "models/stack/return_hook.hpp"

namespace rxpool {

namespace {

bool may_free_in_group(Core& core, const Skb& skb) {
  // A return program meets others in its maps.
  const bool own = skb.return_hook == nullptr && skb.pages->put_is_private(core.memory(true), skb.page);
  return own ? core.may_step_ahead(EventClass::poll) : core.may_step(EventClass::poll);
}

}  // namespace

bool DeferList::flush(Core& core) {
  if (end_ == 0) {
    // Others may just be adding to the list.
    if (core.interrupt_due() || !core.may_step_in_turn(EventClass::poll)) return false;
    while (end_ != skbs_.size() && free_.slab_[skbs_[end_]].visible <= core.now()) ++end_;
    if (end_ == 0) return true;
    count_ = 0;
  }
  while (next_ != end_) {
    if (core.interrupt_due()) return false;
    if (core.now() > core.private_limit() && !may_free_in_group(core, free_.slab_[skbs_[next_]])) return false;
    if (!free_.may_free(core, skbs_[next_], true, EventClass::poll)) return false;
    free_.free(core, skbs_[next_++], true);
  }
  skbs_.erase(skbs_.begin(), skbs_.begin() + static_cast<std::ptrdiff_t>(next_));
  next_ = end_ = 0;
  return true;
}

void SkbFree::add(Core& core) {
  cores_.push_back(&core);
  lists_.push_back(std::make_unique<DeferList>(*this));
  core.softirq().set_deferred(lists_.back().get());
}

bool SkbFree::may_free(Core& core, SkbId id, bool in_softirq, EventClass event_class) {
  const Skb& skb = slab_[id];
  return !skb.pages->put_may_touch_zone(core.memory(in_softirq), skb.page) || core.may_touch_shared(event_class);
}

void SkbFree::free(Core& core, SkbId id, bool in_softirq) {
  const Skb& skb = slab_[id];
  if (skb.return_hook != nullptr) {
    core.charge(Work::xdp_program, skb.return_hook->returned(skb.packet, skb.cookie, core.cpu(), core.now()));
  }
  skb.pages->put(core.memory(in_softirq), skb.page);
  core.charge(Step::skb_free);
  core.charge_memory();
  if (trace_ != nullptr && Trace::samples(skb.packet.id)) [[unlikely]] {
    trace_->moment(Trace::Stage::returned, skb.pages, skb.packet.id, core.cpu(), core.now());
  }
  slab_.free(id);
}

bool SkbFree::attempt_defer(Core& core, SkbId id) {
  Skb& skb = slab_[id];
  if (skb.alloc_cpu == core.cpu() || skb_defer_max_ == 0) {
    // kfree_skb_napi_cache: bottom halves disabled around it.
    if (!may_free(core, id, true, EventClass::thread)) return false;
    free(core, id, true);
    ++stats_.local;
    return true;
  }
  DeferList& list = *lists_[skb.alloc_cpu];
  if (list.count_ + 1 >= skb_defer_max_) {
    // SK-43: a full list frees here, without the allocating CPU's NAPI: to the ring.
    if (!may_free(core, id, true, EventClass::thread)) return false;
    free(core, id, true);
    ++list.count_;
    ++stats_.rejected;
    return true;
  }
  ++list.count_;
  ++stats_.deferred;
  core.charge(Step::skb_defer_push);
  skb.visible = core.now();
  list.skbs_.push_back(id);
  if (list.count_ == kick_at()) cores_[skb.alloc_cpu]->raise_net_rx_remotely(core.now());
  return true;
}

std::uint32_t SkbFree::unnoticed_defers(std::uint16_t cpu) const {
  const std::uint32_t count = lists_[cpu]->count_;
  const std::uint32_t taken = skb_defer_max_ > count + 1 ? skb_defer_max_ - 1 - count : 0;
  const std::uint32_t quiet = kick_at() > count ? std::min(kick_at() - 1 - count, taken) : taken;
  return quiet / std::max<std::uint32_t>(1, static_cast<std::uint32_t>(lists_.size()) - 1);
}

}  // namespace rxpool
