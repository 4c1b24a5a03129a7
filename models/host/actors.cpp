#include "models/host/actors.hpp"

#include "models/host/ledgers.hpp"
#include "models/host/report.hpp"

namespace rxpool {
void KswapdActor::act(Time now) {
  MemoryContext context = host_.context_of_others(now, node_);
  Kswapd& kswapd = host_.allocator().kswapd(node_);
  kswapd.step(context);
  host_.engine().arm(event, kswapd.next_step(), EventClass::thread);
}

void BackgroundActor::act(Time now) {
  MemoryContext context = host_.context_of_others(now, node_);
  background_.step(context);
  host_.engine().arm(event, background_.next_step(), EventClass::application);
}

void VmstatActor::act(Time now) {
  for (const auto& core : host_.cores()) {
    MemoryContext context = host_.context_of_others(now, core->memory(false).node);
    context.cpu = core->cpu();
    host_.allocator().vmstat_tick(context);
  }
  for (unsigned node = 0; node < host_.allocator().node_count(); ++node) {
    MemoryContext context = host_.context_of_others(now, node);
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
  host_.keep_packets_at_cut(packet_ledger(host_));
}

void CpuScalerActor::act(Time now) {
  Time busy{0};
  std::uint64_t drops = 0;
  for (std::size_t i = 0; i < nic_.cpumap.size(); ++i) {
    const CpumapEntry& entry = *nic_.cpumap[i];
    drops += entry.stats().enqueue_drops;
    const Time so_far = entry.home->busy();
    if (i < nic_.spread->in_use()) busy += so_far - seen_busy_[i];
    seen_busy_[i] = so_far;
  }
  const std::uint32_t in_use = nic_.scaler->look(busy, drops - seen_drops_);
  seen_drops_ = drops;
  nic_.spread->use(in_use);
  nic_.cpus_in_use.set(now, in_use);
  host_.engine().arm(event, now + nic_.scaler->params().period, EventClass::control);
}

}  // namespace rxpool
