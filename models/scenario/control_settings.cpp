#include "models/scenario/control_settings.hpp"

#include "models/scenario/scenario.hpp"

namespace rxpool::scenario {

DetectorParams detector_params(const DetectorFields& fields, Time period, Time jiffy) {
  DetectorParams params = fields.params;
  params.period = period;
  params.jiffy = jiffy;
  params.quiet = time_from_ms(fields.quiet_ms);
  params.time_constant = time_from_ms(fields.time_constant_ms);
  params.window = time_from_ms(fields.window_ms);
  params.learn = time_from_ms(fields.learn_ms);
  params.horizon = time_from_ms(fields.horizon_ms);
  return params;
}

OverloadParams overload_params(const OverloadFields& fields) {
  OverloadParams params = fields.params;
  params.clear = time_from_ms(fields.clear_ms);
  return params;
}

BreakerParams breaker_params(const BreakerFields& fields) {
  BreakerParams params = fields.params;
  params.horizon = time_from_ms(fields.horizon_ms);
  params.reference_rtt = time_from_ms(fields.reference_rtt_ms);
  params.hold = time_from_ms(fields.hold_ms);
  params.reaction = time_from_ms(fields.reaction_ms);
  params.forecast = time_from_ms(fields.forecast_ms);
  params.open = time_from_ms(fields.open_ms);
  params.probe = time_from_ms(fields.probe_ms);
  return params;
}

}  // namespace rxpool::scenario
