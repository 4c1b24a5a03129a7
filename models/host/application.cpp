#include "models/host/application.hpp"

namespace rxpool {

ApplicationParams application_params(const scenario::WorkParams& work, const Scenario& scenario,
                                     std::uint32_t replication, const std::string& name) {
  ApplicationParams params;
  params.service = time_from_ns(work.service_ns);
  if (work.service_law == scenario::ServiceLaw::exponential) {
    params.exponential.emplace(scenario.seed, replication, name + ".service");
  }
  params.paused = work.paused;
  for (const auto& [pause_name, pause] : work.pauses) {
    params.pauses.push_back({time_from_ms(pause.at_ms), time_from_ms(pause.for_ms), time_from_ms(pause.every_ms)});
  }
  return params;
}

}  // namespace rxpool
