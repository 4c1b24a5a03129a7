#include "models/host/queue_restart.hpp"

#include <iterator>
#include <utility>

#include "models/host/control_loop.hpp"
#include "models/host/report.hpp"
#include "models/nic/driver_profile.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

constexpr Time napi_disable_wait = microseconds(20);  // usleep_range(20, 200)

}  // namespace

QueueRestart::QueueRestart(Host& host, HostNic& nic, std::size_t queue, Actor& pool_release)
    : host_(host),
      nic_(nic),
      queue_(nic.queues[queue]),
      key_(std::next(nic.params->rx_queues.begin(), static_cast<std::ptrdiff_t>(queue))->first),
      pool_release_(pool_release) {}

void QueueRestart::begin(Time now, std::uint32_t ring_size) {
  asked_.push_back(ring_size);
  if (asked_.size() == 1) disable(now);  // else the one before comes first: ethtool holds rtnl_lock until it is done
}

void QueueRestart::disable(Time now) {
  queue_.queue->disable();
  act(now);
}

void QueueRestart::act(Time now) {
  if (queue_.queue->scheduled) {
    host_.engine().arm(event, now + napi_disable_wait, EventClass::control);
  } else {
    restart(now);
  }
}

void QueueRestart::restart(Time now) {
  settle(host_, now);
  RxQueue& queue = *queue_.queue;
  const std::uint8_t node = queue.irq_core().memory(false).node;
  MemoryContext context = host_.context_of_others(now, node);
  PagePool& old = *queue_.pool;
  RetiredPool& retired = queue_.retired.emplace_back();
  retired.pool = old.id();
  retired.buffers = queue.take_down(context);
  if (host_.control() != nullptr) host_.control()->pool_leaves(queue.name());
  if (!host_.pools().destroy(context, old)) {
    host_.engine().arm(pool_release_.event, host_.pools().next_retry(), EventClass::control);
  }
  RxBuffersRequest request = buffers_request(host_.scenario(), nic_, key_, queue, node);
  request.ring_size = asked_.front();
  request.pool_size = pool_size_with(*nic_.params, nic_.params->rx_queues.at(key_), request.ring_size);
  RxBuffersMade made = make_rx_buffers(request, host_.pools(), host_.allocator());
  made.buffers->count_on_from(*retired.buffers);
  queue_.pool = made.pool;
  queue.bring_up(std::move(made.buffers), request.ring_size, context);
  if (host_.control() != nullptr) host_.control()->pool_comes(queue.name(), *made.pool);
  asked_.pop_front();
  if (!asked_.empty()) disable(now);
}

void QueueRestarts::PoolRelease::act(Time now) {
  MemoryContext context = host_.context_of_others(now, 0);
  host_.pools().retry(context);
  host_.engine().arm(event, host_.pools().next_retry(), EventClass::control);
}

QueueRestarts::QueueRestarts(Host& host) : pool_release_(host) {
  Engine& engine = host.engine();
  const auto add = [&engine](Actor& actor, const std::string& component) {
    engine.add(actor.event, component, Engine::everybody, &actor, &Actor::fire);
  };
  for (const auto& nic : host.nics()) {
    for (std::size_t i = 0; i < nic->queues.size(); ++i) {
      const std::string& name = nic->queues[i].queue->name();
      if (!is_restarted(host.scenario(), name)) continue;
      queues_.push_back(std::make_unique<QueueRestart>(host, *nic, i, pool_release_));
      add(*queues_.back(), name + ".restart");
    }
  }
  if (!queues_.empty()) add(pool_release_, "memory.page_pools");
}

QueueRestart& QueueRestarts::of(const std::string& queue) {
  for (const auto& restart : queues_) {
    if (restart->queue().queue->name() == queue) return *restart;
  }
  throw BugError("events: nothing restarts " + queue);
}

PagePoolStats pool_stats(Host& host, const HostQueue& queue) {
  PagePoolStats all = queue.pool->stats;
  for (const RetiredPool& retired : queue.retired) all += host.pools().stats_of(retired.pool);
  return all;
}

DetachedPools detached(Host& host, const HostQueue& queue) {
  DetachedPools all;
  for (const RetiredPool& retired : queue.retired) {
    const PagePool* const pool = host.pools().find(retired.pool);
    if (pool == nullptr || !pool->detached()) continue;
    ++all.pools;
    all.inflight += static_cast<std::uint32_t>(pool->inflight());
  }
  return all;
}

}  // namespace rxpool
