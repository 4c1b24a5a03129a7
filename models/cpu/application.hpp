#pragma once
// What an application does with its CPU: work per packet, constant or drawn, and times at which it does nothing,
// planned or switched by a timed change. Whoever reads packets (a socket, the ring of an AF_XDP socket) asks it.

#include <algorithm>
#include <optional>
#include <vector>

#include "sim/distribution.hpp"
#include "sim/random.hpp"
#include "sim/time.hpp"

namespace rxpool {

struct ApplicationParams {
  struct Pause {
    Time at;
    Time length;
    Time every;  ///< 0: once
  };
  Time service;                             ///< work per packet
  std::optional<RandomStream> exponential;  ///< then `service` is the mean of an exponential law
  bool paused = false;                      ///< at the start
  std::vector<Pause> pauses;
};

class Application {
 public:
  explicit Application(ApplicationParams params) : params_(std::move(params)), paused_(params_.paused) {}

  /// Not before this instant; in the past when it may go on at once, never() while it is switched off.
  Time paused_until(Time now) const {
    if (paused_) return Time::never();
    Time until{0};
    for (const ApplicationParams::Pause& pause : params_.pauses) {
      if (now < pause.at) continue;
      const Time into = pause.every.ps == 0 ? now - pause.at : (now - pause.at) % pause.every;
      if (into < pause.length) until = std::max(until, now - into + pause.length);
    }
    return until;
  }
  /// When the next planned pause begins; never() without one. It does not pause at `now`.
  Time next_pause(Time now) const {
    Time next = Time::never();
    for (const ApplicationParams::Pause& pause : params_.pauses) {
      if (now < pause.at) {
        next = std::min(next, pause.at);
      } else if (pause.every.ps != 0) {
        next = std::min(next, now + pause.every - (now - pause.at) % pause.every);
      }
    }
    return next;
  }
  Time next_service() {
    return params_.exponential ? ExponentialTime(params_.service)(*params_.exponential) : params_.service;
  }
  void set_paused(bool paused) { paused_ = paused; }

 private:
  ApplicationParams params_;
  bool paused_;
};

}  // namespace rxpool
