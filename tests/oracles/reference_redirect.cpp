#include "tests/oracles/reference_redirect.hpp"

#include <algorithm>

namespace rxpool::reference {

void Redirect::enqueue(Device& device, const Frame& frame) {
  device_ = &device;
  ++redirected;
  frames.push_back(frame);
}

Job Redirect::xmit_all(Cpu& cpu) {
  co_await cpu.step(EventClass::poll);
  const std::size_t count = std::min<std::size_t>(frames.size(), 16);
  const std::vector<Frame> bulk(frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(count));
  frames.erase(frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(count));
  TxRing* ring = device_->ring_of(cpu.number());
  const std::size_t taken = ring == nullptr ? 0 : ring->xmit(cpu, bulk);
  MemoryContext context = cpu.context_now(true);
  for (std::size_t i = taken; i < count; ++i) {
    journal_.ended(bulk[i].packet, Fate::xdp_devmap_xmit, cpu.clock);
    if (bulk[i].page != no_page) bulk[i].buffers->put_direct(context, bulk[i].page);
  }
  cpu.charge(context.cost);
  ++bulks;
  sent += taken;
  drops += count - taken;
}

Job Redirect::send_overfull(Cpu& cpu) {
  if (frames.size() > 16) co_await xmit_all(cpu);
}

Job Redirect::flush(Cpu& cpu) {
  if (frames.empty()) co_return;
  while (!frames.empty()) co_await xmit_all(cpu);
  TxRing* ring = device_->ring_of(cpu.number());
  if (ring != nullptr) co_await ring->doorbell(cpu);
}

}  // namespace rxpool::reference
