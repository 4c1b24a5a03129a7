#pragma once
// Timed changes (`events` of a scenario): at one instant the named parameters take their new values. Nobody runs past
// such an instant, so the change falls between two steps of every CPU.

#include "models/host/host.hpp"

namespace rxpool {

class TimedChange final : public Actor {
 public:
  TimedChange(Host& host, const scenario::EventParams& params) : host_(host), params_(params) {}
  void act(Time now) override;

 private:
  void apply(Time now, const std::string& path, const scenario::ParamValue& value);

  Host& host_;
  const scenario::EventParams& params_;
};

}  // namespace rxpool
