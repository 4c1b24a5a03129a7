#include "models/host/control.hpp"

#include <algorithm>

#include "models/host/report.hpp"
#include "models/nic/driver_profile.hpp"

namespace rxpool {
namespace {

/// Completions that the driver would see at `now`; they are in order of time.
std::uint32_t visible(const RxRing& ring, Time now) {
  std::uint32_t low = 0;
  std::uint32_t high = ring.completed();
  while (low < high) {
    const std::uint32_t middle = low + (high - low + 1) / 2;
    if (ring.completed_at(middle) <= now) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/// The fullest of the transmit rings that packets of the queue go to; null without one.
const TxQueue* fullest_ring(const HostNic& nic, const HostQueue& queue) {
  const TxQueue* fullest = queue.xdp_tx.get();
  for (const XdpDevice* target : nic.targets) {
    const TxQueue* const ring = target->queue_of(queue.queue->poll_core().cpu());
    if (ring == nullptr) continue;
    const bool fuller = fullest == nullptr ||
                        std::uint64_t{ring->fill()} * fullest->size() > std::uint64_t{fullest->fill()} * ring->size();
    if (fuller) fullest = ring;
  }
  return fullest;
}

QueueReading read_queue(HostNic& nic, HostQueue& host_queue, std::uint32_t index, Time now) {
  RxQueue& queue = *host_queue.queue;
  QueueReading reading;
  reading.queue.now = now;
  reading.queue.rx_backlog = visible(queue.ring(), now);
  reading.queue.rx_size = queue.ring().size();
  if (driver_profile(nic.params->driver).no_descriptor_per_port) {
    for (std::uint32_t i = 0; i < nic.queues.size(); ++i) reading.queue.hw_drops += nic.port->queue(i).out_of_buffer;
  } else {
    reading.queue.hw_drops = nic.port->queue(index).out_of_buffer;
  }
  reading.queue.polls = queue.stats().polls;
  reading.queue.full_polls = queue.stats().full_polls;
  if (const TxQueue* const ring = fullest_ring(nic, host_queue); ring != nullptr) {
    reading.queue.tx_fill = ring->fill();
    reading.queue.tx_size = ring->size();
    reading.queue.tx_backoff = queue.redirect().backs_off();
  }
  reading.held = queue.buffers().held();
  reading.inflight = queue.buffers().inflight();
  reading.posted = queue.buffers().posted();
  return reading;
}

}  // namespace

InputSource hw_drops_source(const scenario::NicParams& nic) {
  const DriverProfile& profile = driver_profile(nic.driver);
  InputSource source;
  source.name = profile.no_descriptor;
  source.scope = profile.no_descriptor_per_port ? InputSource::Scope::port : InputSource::Scope::queue;
  source.refresh = microseconds(nic.stats_block_usecs);
  return source;
}

bool wants_control(Host& host) {
  if (host.scenario().control.active()) return true;
  return std::any_of(host.nics().begin(), host.nics().end(), [](const auto& nic) {
    return nic->program != nullptr && nic->program->policy().declares_signal();
  });
}

bool is_polled_in_user_space(const Scenario& scenario, const std::string& queue) {
  return std::any_of(scenario.pmds.begin(), scenario.pmds.end(), [&](const auto& entry) {
    return "nics." + entry.second.nic + ".rx_queues." + entry.second.queue == queue;
  });
}

std::vector<std::string> control_warnings(Host& host) {
  std::vector<std::string> all = host.control()->warnings();
  for (const auto& [name, pmd] : host.scenario().pmds) {
    all.push_back("control: pmds." + name + " polls nics." + pmd.nic + ".rx_queues." + pmd.queue +
                  ", and the kernel sees nothing of it: that queue is not looked at");
  }
  return all;
}

std::unique_ptr<ControlLoop> make_control_loop(Host& host) {
  std::vector<ControlledQueue> queues;
  for (const auto& nic : host.nics()) {
    for (std::uint32_t index = 0; index < nic->queues.size(); ++index) {
      HostQueue& queue = nic->queues[index];
      if (is_polled_in_user_space(host.scenario(), queue.queue->name())) continue;
      ControlledQueue& controlled = queues.emplace_back();
      controlled.name = queue.queue->name();
      controlled.node = queue.queue->irq_core().memory(false).node;
      controlled.pool = queue.pool;
      controlled.gate = &queue.queue->gate();
      controlled.inputs = input_sources(hw_drops_source(*nic->params), fullest_ring(*nic, queue) != nullptr);
      controlled.read = [&nic = *nic, &queue, index](Time now) { return read_queue(nic, queue, index, now); };
      if (nic->program == nullptr || !nic->program->policy().declares_signal()) continue;
      controlled.gate->program_approves = true;
      controlled.signal = nic->program->policy().signal(index);
    }
  }
  const Scenario& scenario = host.scenario();
  const Time end = time_from_ms(scenario.warmup_ms) + time_from_ms(scenario.duration_ms);
  return std::make_unique<ControlLoop>(scenario.control, scenario.kernel.hz, end, host.allocator(), std::move(queues));
}

std::unique_ptr<ControlThread> make_control_thread(Host& host) {
  const scenario::ControlParams& params = host.scenario().control;
  if (params.cpu.empty()) return nullptr;
  const Time look = time_from_ns(params.look_ns * static_cast<double>(host.control()->queues().size()));
  auto thread = std::make_unique<ControlThread>(time_from_us(params.period_us), look);
  thread->component_id = static_cast<std::uint32_t>(host.sockets().size()) + 1;
  return thread;
}

void ControlActor::act(Time now) {
  ControlLoop& loop = *host_.control();
  if (loop.looks_at(now)) settle(host_, now);
  loop.act(now, [this, now](unsigned node) { return host_.context_of_others(now, node); });
  host_.engine().arm(event, loop.next(), EventClass::control);
}

}  // namespace rxpool
