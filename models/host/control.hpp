#pragma once
// The control loop of a host: which queues it reads and how, the actor that drives it, its metrics and scores.

#include <memory>

#include "models/host/control_loop.hpp"
#include "models/host/host.hpp"

namespace rxpool {

/// Does the scenario or an attached policy ask for a control loop?
bool wants_control(Host& host);
std::unique_ptr<ControlLoop> make_control_loop(Host& host);
/// Null when the loop costs no CPU of the host.
std::unique_ptr<ControlThread> make_control_thread(Host& host);

class ControlActor final : public Actor {
 public:
  explicit ControlActor(Host& host) : host_(host) {}
  void act(Time now) override;

 private:
  Host& host_;
};

/// Scope of a driver's counter of frames lost for want of a descriptor.
bool hw_drops_per_port(scenario::Driver driver);

}  // namespace rxpool
