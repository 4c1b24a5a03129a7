// What acts at instants of its own: memory users, kswapd, statistics, control, timed changes.

#include "models/host/nic.hpp"
#include "models/scenario/overrides.hpp"
#include "tests/oracles/reference_host.hpp"

namespace rxpool::reference {

// ---- Memory.

MemoryContext ReferenceHost::elsewhere(std::uint8_t node, Time now) const {
  MemoryContext context;
  context.cpu = static_cast<std::uint16_t>(cpus_.size() + node);
  context.node = node;
  context.now = now;
  return context;
}

void ReferenceHost::plan_memory() {
  for (std::size_t i = 0; i < users_.size(); ++i) background_step(i);
  events_.at(milliseconds(scenario_.kernel.stat_interval_ms), EventClass::control, rank("memory.vmstat"),
             [this] { vmstat(); });
}

void ReferenceHost::background_step(std::size_t i) {
  const Time next = users_[i].background->next_step();
  if (next == Time::never()) return;
  events_.at(next, EventClass::application, rank(users_[i].name), [this, i] {
    MemoryContext context = elsewhere(users_[i].node, events_.now());
    users_[i].background->step(context);
    background_step(i);
  });
}

void ReferenceHost::kswapd_woken(unsigned node, Time first_step) {
  if (kswapd_plans_.contains(node)) events_.cancel(kswapd_plans_[node]);
  if (first_step == Time::never()) return;
  kswapd_plans_[node] =
      events_.at(first_step, EventClass::thread, rank("memory.kswapd" + std::to_string(node)), [this, node] {
        MemoryContext context = elsewhere(static_cast<std::uint8_t>(node), events_.now());
        allocator_->kswapd(node).step(context);
        kswapd_woken(node, allocator_->kswapd(node).next_step());
      });
}

void ReferenceHost::vmstat() {
  for (const auto& on : cpus_) {
    MemoryContext context = on->context_now(false);
    context.now = events_.now();
    allocator_->vmstat_tick(context);
  }
  for (std::uint32_t node = 0; node < scenario_.memory.nodes; ++node) {
    MemoryContext context = elsewhere(static_cast<std::uint8_t>(node), events_.now());
    allocator_->vmstat_tick(context);
  }
  events_.at(events_.now() + milliseconds(scenario_.kernel.stat_interval_ms), EventClass::control,
             rank("memory.vmstat"), [this] { vmstat(); });
}

// ---- Control.

void ReferenceHost::plan_control() {
  if (control_ == nullptr) return;
  events_.at(control_->next(), EventClass::control, rank("control"), [this] {
    const Time now = events_.now();
    control_->act(now, [this, now](unsigned node) { return elsewhere(static_cast<std::uint8_t>(node), now); });
    plan_control();
  });
}

// ---- Timed changes.

void ReferenceHost::plan_changes() {
  for (const auto& [name, event] : scenario_.events) {
    const Time at = time_from_ms(event.at_ms);
    change_times_.insert(at);
    events_.at(at, EventClass::control, rank("events." + name), [this, &event] {
      for (const auto& [path, value] : event.set) change(path, value);
      let_arrive();
    });
  }
}

/// NA-26, DR-40: as soon as the NAPI is found idle.
void ReferenceHost::restart(Nic& nic, Queue& queue) {
  const std::uint32_t ring_size = queue.asked_rings.front();
  const Time now = events_.now();
  if (queue.scheduled) {
    events_.at(now + microseconds(20), EventClass::control, rank(queue.name + ".restart"),
               [this, &nic, &queue] { restart(nic, queue); });
    return;
  }
  MemoryContext context = elsewhere(queue.irq_cpu().node(), now);
  queue.take_down(context, ring_size);
  PagePool& old = *queue.buffers->pool;
  if (control_ != nullptr) control_->pool_leaves(queue.name);
  queue.retired_pools.push_back(old.id());
  queue.retired.push_back(std::move(queue.buffers));
  pools_->destroy(context, old);
  plan_pool_release();
  BuffersRequest request = buffers_request(nic, queue, queue.irq_cpu().node());
  request.pool_size = pool_size_with(nic.params, queue.params, ring_size);
  queue.buffers = make_buffers(request, queue.ring, *pools_, *allocator_);
  queue.buffers->fill(context);
  queue.bring_up(now);
  if (control_ != nullptr) control_->pool_comes(queue.name, *queue.buffers->pool);
  queue.asked_rings.pop_front();
  if (queue.asked_rings.empty()) return;
  queue.disable();
  restart(nic, queue);
}

void ReferenceHost::plan_pool_release() {
  if (pool_release_planned_) events_.cancel(pool_release_);
  const Time next = pools_->next_retry();
  pool_release_planned_ = next != Time::never();
  if (!pool_release_planned_) return;
  pool_release_ = events_.at(next, EventClass::control, rank("memory.page_pools"), [this] {
    pool_release_planned_ = false;
    MemoryContext context = elsewhere(0, events_.now());
    pools_->retry(context);
    plan_pool_release();
  });
}

void ReferenceHost::change(const std::string& path, const scenario::ParamValue& value) {
  const std::vector<std::string> part = scenario::split_path(path);
  const Time now = events_.now();
  const auto nic = [&](const std::string& name) -> Nic& {
    return **std::find_if(nics_.begin(), nics_.end(), [&](const auto& n) { return n->name == name; });
  };
  const auto mbps = [](double gbps) { return static_cast<std::uint32_t>(gbps * 1000 + 0.5); };
  if (part[0] == "nics" && part.back() == "cpu") {
    for (const auto& queue : nic(part[1]).queues) {
      if (queue->name == "nics." + part[1] + ".rx_queues." + part[3]) {
        queue->set_affinity(cpu(std::get<std::string>(value)));
      }
    }
  } else if (part[0] == "nics" && part.back() == "rx_ring") {
    for (const auto& queue : nic(part[1]).queues) {
      if (queue->name != "nics." + part[1] + ".rx_queues." + part[3]) continue;
      queue->asked_rings.push_back(static_cast<std::uint32_t>(std::get<double>(value)));
      if (queue->asked_rings.size() > 1) continue;
      queue->disable();
      restart(nic(part[1]), *queue);
    }
  } else if (part[0] == "nics" && part[2] == "link_gbps") {
    nic(part[1]).wire->set_link(now, mbps(std::get<double>(value)));
    nic(part[1]).tx_link.mbps = mbps(std::get<double>(value));
  } else if (part[0] == "nics" && part[2] == "link_up") {
    nic(part[1]).wire->set_link(now, std::get<bool>(value) ? mbps(nic(part[1]).params.link_gbps) : 0);
    nic(part[1]).tx_link.mbps = std::get<bool>(value) ? mbps(nic(part[1]).params.link_gbps) : 0;
  } else if (part[0] == "policies") {
    nic(part[1]).program = std::get<std::string>(value);
  } else if (part[0] == "sockets") {
    for (const auto& socket : sockets_) {
      if (socket->name == "sockets." + part[1]) socket->reader->set_paused(std::get<bool>(value), now);
    }
  } else if (part[0] == "xsks") {
    for (const auto& xsk : xsks_) {
      if (xsk->name == "xsks." + part[1]) xsk->set_paused(std::get<bool>(value), now);
    }
  } else if (part[0] == "pmds") {
    for (const auto& pmd : pmds_) {
      if (pmd->name == "pmds." + part[1]) pmd->set_paused(std::get<bool>(value), now);
    }
  } else if (part[0] == "traffic") {
    for (const auto& n : nics_) {
      for (std::size_t i = 0; i < n->source_names.size(); ++i) {
        if (n->source_names[i] != part[1]) continue;
        const double initial = scenario_.traffic.at(part[1]).source.arrivals.rate_pps;
        n->wire->set_rate_factor(static_cast<std::uint16_t>(i), now, std::get<double>(value) / initial);
      }
    }
  } else {
    throw BugError("reference: cannot change " + path);
  }
}

}  // namespace rxpool::reference
