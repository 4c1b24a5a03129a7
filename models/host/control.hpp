#pragma once
// The control loop of a host: which queues it reads and how, the actor that drives it, its metrics and scores.

#include <memory>

#include "models/host/control_loop.hpp"
#include "models/host/host.hpp"

namespace rxpool {

/// Does the scenario or an attached policy ask for a control loop?
bool wants_control(Host& host);
/// Does a poll-mode driver have the queue (a component)? The kernel sees nothing of it, and the loop leaves it out.
bool is_polled_in_user_space(const Scenario& scenario, const std::string& queue);
std::unique_ptr<ControlLoop> make_control_loop(Host& host);
/// What the loop's inputs and parameters cannot do, and which queues it leaves out.
std::vector<std::string> control_warnings(Host& host);
/// Null when the loop costs no CPU of the host.
std::unique_ptr<ControlThread> make_control_thread(Host& host);

class ControlActor final : public Actor {
 public:
  explicit ControlActor(Host& host) : host_(host) {}
  void act(Time now) override;

 private:
  Host& host_;
};

/// What the NIC's driver tells of frames lost for want of a descriptor (DR-50, DR-51).
InputSource hw_drops_source(const scenario::NicParams& nic);

}  // namespace rxpool
