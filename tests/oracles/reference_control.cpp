#include "tests/oracles/reference_control.hpp"

#include "models/host/control.hpp"
#include "sim/error.hpp"

namespace rxpool::reference {

std::unique_ptr<ControlLoop> make_control_loop(const Scenario& scenario, std::vector<std::unique_ptr<Nic>>& nics,
                                               const std::vector<std::unique_ptr<Cpu>>& cpus,
                                               PageAllocator& allocator) {
  if (!scenario.control.active()) return nullptr;
  std::vector<ControlledQueue> controlled;
  for (const auto& nic : nics) {
    const InputSource drops = hw_drops_source(nic->params);
    for (const auto& queue : nic->queues) {
      if (is_polled_in_user_space(scenario, queue->name)) continue;
      ensure(queue->buffers->pool != nullptr, "reference: control needs a driver with a page_pool");
      ControlledQueue& one = controlled.emplace_back();
      one.name = queue->name;
      for (const auto& cpu : cpus) {
        if (cpu->name() == "cpus." + queue->params.cpu) one.node = cpu->node();
      }
      one.pool = queue->buffers->pool;
      one.gate = &queue->gate;
      one.inputs = input_sources(drops, true);
      one.read = [&nic = *nic, &queue = *queue, per_port = drops.scope == InputSource::Scope::port](Time now) {
        QueueReading reading;
        reading.queue.now = now;
        reading.queue.rx_backlog = static_cast<std::uint32_t>(queue.ring.completions.size());
        reading.queue.rx_size = queue.ring.size;
        if (per_port) {
          for (const auto& any : nic.queues) reading.queue.hw_drops += any->out_of_buffer;
        } else {
          reading.queue.hw_drops = queue.out_of_buffer;
        }
        reading.queue.polls = queue.polls;
        reading.queue.full_polls = queue.full_polls;
        const TxRing* ring = &queue.xdp_tx;
        if (nic.target != nullptr) {
          const TxRing* const out = nic.target->ring_of(queue.poll_cpu().number());
          if (out != nullptr && out->fill() * ring->size() > ring->fill() * out->size()) ring = out;
        }
        reading.queue.tx_fill = ring->fill();
        reading.queue.tx_size = ring->size();
        reading.posted = static_cast<std::uint32_t>(queue.buffers->posted);
        reading.inflight = static_cast<std::uint32_t>(queue.buffers->pool->inflight());
        reading.held = static_cast<std::uint32_t>(queue.buffers->pool->outside()) - reading.posted;
        return reading;
      };
    }
  }
  const Time end = time_from_ms(scenario.warmup_ms) + time_from_ms(scenario.duration_ms);
  return std::make_unique<ControlLoop>(scenario.control, scenario.kernel.hz, end, allocator, std::move(controlled));
}

void ControlProcess::start(Cpu& cpu) {
  cpu.add(*this);
  alarm_.at = next_;
  cpu.attach(alarm_);
}

void ControlProcess::Alarm::take(Cpu& cpu) {
  at = Time::never();
  cpu.enter_hardirq(Step::hardirq);
  cpu.wake(process);
  cpu.leave_hardirq();
}

Job ControlProcess::unit(Cpu& cpu) {
  if (next_ > cpu.clock) {
    alarm_.at = next_;
    sleeps = true;
  } else {
    cpu.charge(look_);
    next_ += period_;
  }
  co_return;
}

}  // namespace rxpool::reference
