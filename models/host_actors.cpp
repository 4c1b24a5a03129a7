#include "models/host_actors.hpp"

#include "models/host_report.hpp"

namespace rxpool {
namespace {

MemoryContext context_at(Time now, std::uint8_t node) {
  MemoryContext context;
  context.node = node;
  context.now = now;
  return context;
}

}  // namespace

void KswapdActor::act(Time now) {
  MemoryContext context = context_at(now, static_cast<std::uint8_t>(node_));
  Kswapd& kswapd = host_.allocator().kswapd(node_);
  kswapd.step(context);
  host_.engine().arm(event, kswapd.next_step(), EventClass::thread);
}

void BackgroundActor::act(Time now) {
  MemoryContext context = context_at(now, node_);
  background_.step(context);
  host_.engine().arm(event, background_.next_step(), EventClass::application);
}

void VmstatActor::act(Time now) {
  for (const auto& core : host_.cores()) {
    MemoryContext context = context_at(now, 0);
    context.cpu = core->cpu();
    context.node = core->memory(false).node;
    host_.allocator().vmstat_tick(context);
  }
  host_.engine().arm(event, now + interval_, EventClass::control);
}

void SamplerActor::act(Time now) {
  settle(host_, now);
  host_.registry().sample(now);
  host_.engine().arm(event, now + every_, EventClass::sampler);
}

void WarmupActor::act(Time now) {
  settle(host_, now);
  host_.registry().cut(now);
}

}  // namespace rxpool
