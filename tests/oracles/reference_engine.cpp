#include "tests/oracles/reference_engine.hpp"

#include "tests/oracles/reference_host.hpp"

namespace rxpool::reference {

ReferenceResult ReferenceHost::run() {
  events_.run(end_);
  ReferenceResult result;
  result.fingerprint = journal_.fingerprint().value();
  for (std::size_t i = 0; i < fate_names.size(); ++i) {
    result.fates[std::string(fate_names[i])] = journal_.count(static_cast<Fate>(i));
  }
  result.packets = packet_ledger();
  result.pages = page_ledger();
  count_queues(result);
  count_maps_and_sockets(result);
  result.events = events_.fired();
  return result;
}

ReferenceResult run_reference(const Scenario& scenario, std::uint32_t replication) {
  return ReferenceHost(scenario, replication).run();
}

}  // namespace rxpool::reference
