#pragma once
// Interrupt moderation of one RX queue: the static rule (NA-50) and DIM, which picks rx_usecs and rx_frames from
// profiles by a small state machine (NA-52, NA-53). Rules: docs/rules/napi.md.

#include <algorithm>
#include <cstdint>

#include "models/nic/rx_ring.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// One moderation setting: the interrupt fires `usecs` after the first unreported completion or at `frames` of them.
struct Coalescing {
  std::uint32_t usecs = 0;
  std::uint32_t frames = 0;
};

class Dim {
 public:
  explicit Dim(bool cqe_mode) : cqe_mode_(cqe_mode) {}

  /// Called once per interrupt with the queue's running totals; returns true when a new profile was chosen.
  bool sample(Time now, std::uint64_t packets, std::uint64_t bytes);
  Coalescing profile() const;
  std::uint32_t index() const { return index_; }

 private:
  enum class Tune : std::uint8_t { parking_on_top, parking_tired, going_right, going_left };
  enum class Compared : std::uint8_t { worse, same, better };
  struct Rates {
    std::int64_t packets_per_ms = 0;
    std::int64_t bytes_per_ms = 0;
    std::int64_t events_per_ms = 0;
  };
  static Compared compare(const Rates& now, const Rates& before);
  bool decide(const Rates& rates);
  bool step();
  void turn();
  bool on_top() const;
  void park_on_top();

  bool cqe_mode_;
  std::uint32_t index_ = 1;
  Tune tune_ = Tune::going_right;
  std::uint32_t steps_right_ = 0;
  std::uint32_t steps_left_ = 0;
  std::uint32_t tired_ = 0;
  Rates previous_;
  bool measuring_ = false;  ///< since the interrupt at since_
  Time since_{0};
  std::uint64_t packets_since_ = 0;
  std::uint64_t bytes_since_ = 0;
  std::uint32_t events_ = 0;
};

class Moderation {
 public:
  Moderation(Coalescing fixed, bool adaptive, bool cqe_mode)
      : setting_(fixed), adaptive_(adaptive), cqe_mode_(cqe_mode), dim_(cqe_mode) {
    if (adaptive_) setting_ = dim_.profile();
  }

  struct Instant {
    Time at;
    bool exact;  ///< false: nothing can fire before `at`; ask again then
  };
  /// When the interrupt armed at `armed` fires, given that the NIC's work is known up to `known`.
  Instant fires(const RxRing& ring, Time armed, Time known) const;

  /// One interrupt was taken. DIM applies a new profile from a workqueue, hence from `now` on at the earliest.
  void interrupted(Time now, std::uint64_t packets, std::uint64_t bytes) {
    if (adaptive_ && dim_.sample(now, packets, bytes)) setting_ = dim_.profile();
  }
  Coalescing setting() const { return setting_; }
  const std::uint32_t* usecs() const { return &setting_.usecs; }

 private:
  Coalescing setting_;
  bool adaptive_;
  bool cqe_mode_;
  Dim dim_;
};

}  // namespace rxpool
