#pragma once
// `control`: working-set detectors, overload detectors, the state signal, the circuit breaker, and what is done with a
// pool's free pages (models/control). Everything is off unless a key says otherwise or an attached policy declares the
// signal map; then nothing is looked at and nothing is charged.

#include <string>

#include "models/control/breaker.hpp"
#include "models/control/overload.hpp"
#include "models/control/page_return.hpp"
#include "models/control/working_set.hpp"
#include "models/scenario/field.hpp"

namespace rxpool::scenario {

struct DetectorFields {
  DetectorParams params;
  double quiet_ms = 20;
  double time_constant_ms = 20;
  double window_ms = 100;
  double learn_ms = 20;
  double horizon_ms = 20;
};
void fields(FieldVisitor& v, DetectorFields& p);

struct ScoreFields {
  bool enabled = false;
  double every_us = 1000;
  double window_ms = 10;
  double band = 0.25;
  double band_pages = 64;
};
void fields(FieldVisitor& v, ScoreFields& p);

struct SignalFields {
  double period_us = 100;
  double latency_us = 100;
  bool zero = false;
};
void fields(FieldVisitor& v, SignalFields& p);

struct OverloadFields {
  OverloadParams params;
  double clear_ms = 1;
};
void fields(FieldVisitor& v, OverloadFields& p);

enum class BreakerScope { queue, global };

struct BreakerFields {
  BreakerParams params;
  BreakerScope scope = BreakerScope::queue;
  double horizon_ms = 1000;
  double reference_rtt_ms = 200;
  double hold_ms = 200;
  double reaction_ms = 5;
  double forecast_ms = 5;
  double open_ms = 200;
  double probe_ms = 200;
  std::uint32_t probe_one_in = 8;
};
void fields(FieldVisitor& v, BreakerFields& p);

struct PoolFields {
  PageReturnParams params;
  double half_life_ms = 100;
};
void fields(FieldVisitor& v, PoolFields& p);

struct LeakFields {
  double window_ms = 0;
};
void fields(FieldVisitor& v, LeakFields& p);

struct ControlParams {
  double period_us = 100;
  std::string cpu;
  double look_ns = 4500;  ///< the lab's agent, docs/control.md
  std::string working_set;
  Named<DetectorFields> detectors;
  ScoreFields score;
  SignalFields signal;
  OverloadFields overload;
  BreakerFields breaker;
  PoolFields pool;
  LeakFields leak;

  /// Does anything ask for a control loop, beside a policy that reads the signal?
  bool active() const {
    return !detectors.empty() || breaker.params.threshold != BreakerThreshold::none ||
           pool.params.rule != ReturnRule::never || pool.params.limit != LimitRule::none || leak.window_ms > 0;
  }
};
void fields(FieldVisitor& v, ControlParams& p);

}  // namespace rxpool::scenario
