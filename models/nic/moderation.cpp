#include "models/nic/moderation.hpp"

namespace rxpool {
namespace {

constexpr std::uint32_t dim_profiles = 5;
constexpr std::uint32_t events_per_sample = 64;  // DIM_NEVENTS
constexpr std::uint32_t tired_limit = 2 * dim_profiles;

// NA-52: RX profiles, EQE and CQE period mode.
constexpr Coalescing eqe_profiles[dim_profiles] = {{1, 256}, {8, 256}, {64, 256}, {128, 256}, {256, 256}};
constexpr Coalescing cqe_profiles[dim_profiles] = {{2, 256}, {8, 128}, {16, 64}, {32, 64}, {64, 64}};

/// NA-52: a difference counts when it is above 10 % of the reference.
bool differs(std::int64_t value, std::int64_t reference) {
  const std::int64_t distance = value > reference ? value - reference : reference - value;
  return reference == 0 ? value != 0 : 100 * distance / reference > 10;
}

std::int64_t per_ms(std::uint64_t count, Time span) {
  // Rounded up, as the kernel does with microseconds (DIV_ROUND_UP(count * USEC_PER_MSEC, delta_us)).
  const std::int64_t us = std::max<std::int64_t>(1, span.ps / 1'000'000);
  return (static_cast<std::int64_t>(count) * 1000 + us - 1) / us;
}

}  // namespace

Coalescing Dim::profile() const {
  return cqe_mode_ ? cqe_profiles[index_] : eqe_profiles[index_];
}

bool Dim::sample(Time now, std::uint64_t packets, std::uint64_t bytes) {
  bool changed = false;
  if (measuring_) {
    if (++events_ < events_per_sample) return false;
    const Time span = now - since_;
    changed =
        decide({per_ms(packets - packets_since_, span), per_ms(bytes - bytes_since_, span), per_ms(events_, span)});
  }
  // Under a new profile the next interrupt begins the measurement.
  measuring_ = !changed;
  since_ = now;
  packets_since_ = packets;
  bytes_since_ = bytes;
  events_ = 0;
  return changed;
}

Dim::Compared Dim::compare(const Rates& now, const Rates& before) {
  if (before.bytes_per_ms == 0) return now.bytes_per_ms != 0 ? Compared::better : Compared::same;
  if (differs(now.bytes_per_ms, before.bytes_per_ms)) {
    return now.bytes_per_ms > before.bytes_per_ms ? Compared::better : Compared::worse;
  }
  if (before.packets_per_ms == 0) return now.packets_per_ms != 0 ? Compared::better : Compared::same;
  if (differs(now.packets_per_ms, before.packets_per_ms)) {
    return now.packets_per_ms > before.packets_per_ms ? Compared::better : Compared::worse;
  }
  if (before.events_per_ms == 0) return Compared::same;
  if (differs(now.events_per_ms, before.events_per_ms)) {
    return now.events_per_ms < before.events_per_ms ? Compared::better : Compared::worse;
  }
  return Compared::same;
}

void Dim::turn() {
  if (tune_ == Tune::going_right) {
    tune_ = Tune::going_left;
    steps_left_ = 0;
  } else if (tune_ == Tune::going_left) {
    tune_ = Tune::going_right;
    steps_right_ = 0;
  }
}

bool Dim::on_top() const {
  if (tune_ == Tune::going_right) return steps_left_ > 1 && steps_right_ == 1;
  if (tune_ == Tune::going_left) return steps_right_ > 1 && steps_left_ == 1;
  return true;
}

void Dim::park_on_top() {
  steps_right_ = steps_left_ = tired_ = 0;
  tune_ = Tune::parking_on_top;
}

/// NA-53: one step in the present direction; false when it parks instead.
bool Dim::step() {
  if (tired_ == tired_limit) {
    steps_right_ = steps_left_ = 0;
    tune_ = Tune::parking_tired;
    return false;
  }
  if (tune_ == Tune::going_right) {
    if (index_ == dim_profiles - 1) return park_on_top(), false;
    ++index_;
    ++steps_right_;
  } else {
    if (index_ == 0) return park_on_top(), false;
    --index_;
    ++steps_left_;
  }
  ++tired_;
  return true;
}

bool Dim::decide(const Rates& rates) {
  const std::uint32_t before = index_;
  const bool was_parked = tune_ == Tune::parking_on_top;
  const auto leave_parking = [this] {
    tune_ = index_ > 0 ? Tune::going_left : Tune::going_right;
    step();
  };
  switch (tune_) {
    case Tune::parking_on_top:
      if (compare(rates, previous_) != Compared::same) leave_parking();
      break;
    case Tune::parking_tired:
      if (--tired_ == 0) leave_parking();
      break;
    case Tune::going_right:
    case Tune::going_left:
      if (compare(rates, previous_) != Compared::better) turn();
      if (on_top()) {
        park_on_top();
      } else {
        step();
      }
      break;
  }
  // Slow drift is measured from the parking point: the remembered sample stays while parked on top.
  if (!was_parked || tune_ != Tune::parking_on_top) previous_ = rates;
  return index_ != before;
}

Moderation::Instant Moderation::fires(const RxRing& ring, Time armed, Time known) const {
  const Time first = ring.completed_at(1);
  if (first == Time::never()) return {std::max(armed, known + picoseconds(1)), false};
  const std::uint32_t frames = std::max(1u, setting_.frames);
  const Time period = microseconds(setting_.usecs);
  Time at = first + period;
  if (cqe_mode_) {
    // The timer restarts at each completion: it ends after the first gap longer than the period.
    Time last = first;
    for (std::uint32_t n = 2; n <= frames; ++n) {
      const Time next = ring.completed_at(n);
      if (next == Time::never() || next > last + period) break;
      last = next;
    }
    at = last + period;
  }
  const Time full = ring.completed_at(frames);
  // Another completion before the period ends could still make the count.
  if (full > at && at > known && period.ps != 0) return {std::max(armed, known + picoseconds(1)), false};
  return {std::max(armed, std::min(at, full)), true};
}

}  // namespace rxpool
