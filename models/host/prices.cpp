#include "models/host/prices.hpp"

#include <algorithm>

#include "sim/error.hpp"
#include "sim/random.hpp"

namespace rxpool {

namespace {

/// Whoever polls without end takes time for every look, or it would look at one instant for ever.
void check_looks_take_time(const Scenario& scenario, const Calibration& calibration) {
  const auto needs = [&calibration](bool polls, Step step, const char* name) {
    if (!polls || calibration.cost(step).ps != 0) return;
    throw InputError("calibration " + calibration.name + ": steps." + name +
                     " must be above 0 for a thread that polls");
  };
  const bool readers = std::any_of(scenario.sockets.begin(), scenario.sockets.end(),
                                   [](const auto& entry) { return entry.second.reader.busy_poll.us > 0; });
  bool threads = false;
  for (const auto& [name, nic] : scenario.nics) {
    for (const auto& [queue_name, queue] : nic.rx_queues) threads = threads || queue.napi_busy_poll;
  }
  needs(!scenario.pmds.empty(), Step::rx_burst, "rx_burst");
  needs(readers || threads, Step::napi_poll, "napi_poll");
  needs(readers, Step::llc_hit, "llc_hit");
}

}  // namespace

Calibration host_calibration(const Scenario& scenario, std::uint32_t replication) {
  Calibration calibration = load_calibration_file(scenario.calibration_file);
  if (scenario.calibration_uncertainty) {
    RandomStream random(scenario.seed, replication, "calibration");
    calibration.draw(random);
  }
  if (!scenario.memory.allocator_cost) {
    for (const Step step :
         {Step::pcp_alloc, Step::pcp_free, Step::zone_lock, Step::buddy_page, Step::page_alloc_single}) {
      calibration.steps[static_cast<std::size_t>(step)].fixed = Time{0};
    }
  }
  if (scenario.kernel.retpoline) calibration.add_retpolines();
  check_looks_take_time(scenario, calibration);
  return calibration;
}

MemoryPrices memory_prices(const Calibration& calibration) {
  MemoryPrices prices;
  prices.pool_cache_alloc = calibration.cost(Step::page_pool_cache_get);
  prices.pool_cache_recycle = calibration.cost(Step::page_pool_cache_put);
  prices.ring_consume = calibration.cost(Step::page_pool_ring_get);
  prices.ring_produce = calibration.cost(Step::page_pool_ring_put);
  prices.ring_lock = calibration.cost(Step::ptr_ring_lock);
  // A lock or a line that another CPU had last comes from its cache through the LLC.
  prices.ring_lock_transfer = calibration.cost(Step::llc_hit);
  prices.zone_lock_transfer = calibration.cost(Step::llc_hit);
  prices.pool_release = calibration.cost(Step::page_pool_release);
  prices.dma_map = calibration.cost(Step::dma_map);
  prices.dma_unmap = calibration.cost(Step::dma_unmap);
  prices.alloc_entry = calibration.cost(Step::page_alloc_single);
  prices.alloc_slow_entry = calibration.cost(Step::page_alloc_single);
  prices.pcp_alloc = calibration.cost(Step::pcp_alloc);
  prices.pcp_free = calibration.cost(Step::pcp_free);
  prices.zone_lock = calibration.cost(Step::zone_lock);
  prices.rmqueue_page = calibration.cost(Step::buddy_page);
  prices.free_page_bulk = calibration.cost(Step::buddy_page);
  prices.reclaim_page = calibration.cost(Step::kswapd_batch) / 32;  // SWAP_CLUSTER_MAX
  return prices;
}

std::array<IdleState, 3> idle_table(const Calibration& calibration) {
  const auto state = [](const char* name, const IdleCost& cost) {
    return IdleState{name, cost.exit.ps / 1000, cost.residency.ps / 1000};
  };
  return {state("POLL", calibration.idle.poll), state("C1", calibration.idle.c1), state("DEEP", calibration.idle.deep)};
}

IdleParams idle_params(std::span<const IdleState> table, scenario::IdleStates deepest, int hz) {
  IdleParams params;
  params.table = table;
  if (deepest == scenario::IdleStates::poll) params.deepest = "POLL";
  if (deepest == scenario::IdleStates::c1) params.deepest = "C1";
  params.hz = hz;
  return params;
}

}  // namespace rxpool
