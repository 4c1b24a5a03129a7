#pragma once
// An event is owned by its component and re-armed, never allocated. A component needs one event for everything that
// it does in time order by itself; what others may reorder has an event of its own.

#include <cstdint>
#include <string>

#include "sim/time.hpp"

namespace rxpool {

/// Order of events at one instant (design: order at equal times).
enum class EventClass : std::uint8_t {
  arrival,
  nic,
  interrupt,
  timer,
  poll,
  thread,
  application,
  control,
  sampler,
};

/// (time, class, component id) as one comparable number; an event has at most one pending instant, so that the
/// component's own sequence needs no bits.
__extension__ using EventKey = unsigned __int128;

constexpr EventKey never_key() {
  return ~EventKey{0};
}

constexpr EventKey make_key(Time at, EventClass event_class, std::uint32_t id) {
  return (EventKey{static_cast<std::uint64_t>(at.ps)} << 64) | (std::uint64_t(event_class) << 32) | id;
}

constexpr Time key_time(EventKey key) {
  return key == never_key() ? Time::never() : Time{static_cast<std::int64_t>(key >> 64)};
}

class Event {
 public:
  using Handler = void (*)(void* owner, Time now);

  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

 private:
  friend class Engine;
  Handler handler_ = nullptr;
  void* owner_ = nullptr;
  std::uint32_t id_ = 0;     // rank of the component's name: never creation order
  std::uint32_t group_ = 0;  // index of the coupling group
  std::uint32_t leaf_ = 0;   // position within the group's tree
};

}  // namespace rxpool
