// bpf_timer (kernel/bpf/helpers.c): armed by a program, fired by the host when simulated time has come (Policy::
// run_timers). Clocks other than the monotonic one are the same count here.

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint64_t absolute = 1;  // BPF_F_TIMER_ABS

bool may_have_timers(MapType type) {
  return type == MapType::array || type == MapType::hash || type == MapType::lru_hash;
}

ElementTimer* timer_in(Map* map, std::uint64_t pointer) {
  if (map == nullptr || !may_have_timers(map->type())) {
    return nullptr;
  }
  ValueStore* store = static_cast<ElementMap*>(map)->value_store();
  const std::int32_t slot = store->slot_of_timer(pointer);
  return slot < 0 ? nullptr : &store->timer(static_cast<std::uint32_t>(slot));
}

ElementTimer& timer_at(Runtime& runtime, std::uint64_t pointer) {
  for (Map* map : runtime.maps) {
    if (ElementTimer* timer = timer_in(map, pointer); timer != nullptr) {
      return *timer;
    }
  }
  runtime.abort(Abort::memory);  // no timer of any map
}

bool clock_known(std::uint64_t clock) {
  return clock == 0 || clock == 1 || clock == 7;
}

std::uint64_t init(Runtime& runtime, std::uint64_t pointer, std::uint64_t handle, std::uint64_t flags, std::uint64_t,
                   std::uint64_t) {
  ElementTimer* timer = timer_in(runtime.map(handle), pointer);
  if (timer == nullptr) {
    runtime.abort(Abort::memory);
  }
  if (!clock_known(flags)) {
    return failure(-EINVAL);
  }
  if (timer->initialised) {
    return failure(-EBUSY);
  }
  timer->initialised = true;
  return 0;
}

std::uint64_t set_callback(Runtime& runtime, std::uint64_t pointer, std::uint64_t callback, std::uint64_t,
                           std::uint64_t, std::uint64_t) {
  ElementTimer& timer = timer_at(runtime, pointer);
  if (!timer.initialised) {
    return failure(-EINVAL);
  }
  timer.callback = callback;
  return 0;
}

std::uint64_t start(Runtime& runtime, std::uint64_t pointer, std::uint64_t nanoseconds, std::uint64_t flags,
                    std::uint64_t, std::uint64_t) {
  ElementTimer& timer = timer_at(runtime, pointer);
  if (!timer.initialised || timer.callback == 0 || (flags & ~absolute) != 0) {
    return failure(-EINVAL);
  }
  timer.due_ns = (flags & absolute) != 0 ? nanoseconds : runtime.now_ns() + nanoseconds;
  return 0;
}

std::uint64_t cancel(Runtime& runtime, std::uint64_t pointer, std::uint64_t, std::uint64_t, std::uint64_t,
                     std::uint64_t) {
  ElementTimer& timer = timer_at(runtime, pointer);
  if (!timer.initialised) {
    return failure(-EINVAL);
  }
  const bool active = timer.due_ns != ElementTimer::idle;
  timer.due_ns = ElementTimer::idle;
  return active ? 1 : 0;
}

}  // namespace

void add_timer_helpers(HelperTable& table) {
  using enum ArgKind;
  table.add({.id = 169, .name = {}, .fn = init, .args = {map_element, map, anything}});
  table.add({.id = 170, .name = {}, .fn = set_callback, .args = {map_element, function}});
  table.add({.id = 171, .name = {}, .fn = start, .args = {map_element, anything, anything}});
  table.add({.id = 172, .name = {}, .fn = cancel, .args = {map_element}});
}

}  // namespace rxpool::bpf
