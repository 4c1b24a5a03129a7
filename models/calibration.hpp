#pragma once
// What each step of the receive path costs on one machine in one era (design: CPU, cost and cache). A calibration file
// holds nanoseconds with the figure behind each number; here they are integer picoseconds, made once. Steps, not
// scenarios: no cost is named after what is measured. Leaves out how steps combine: that is the models' business.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sim/time.hpp"

namespace rxpool {

/// Every calibration file prices all of them; units and meaning in `calibration_steps`.
enum class Step : std::uint8_t {
  hardirq,
  interrupt_exit,
  softirq_entry,
  napi_poll,
  napi_complete,
  rx_descriptor,
  dma_sync,
  xdp_call,
  xdp_program_drop,
  xdp_program_pass,
  xdp_program_tx,
  xdp_program_redirect,
  bpf_instruction,
  bpf_helper,
  bpf_map_lookup,
  bpf_map_update,
  bpf_ktime,
  refill_descriptor,
  refill_bulk,
  doorbell,
  tx_descriptor,
  tx_completion,
  tx_queue_lock,
  xdp_redirect,
  cpumap_ring_put,
  cpumap_wakeup,
  cpumap_wakeup_running,
  cpumap_dequeue,
  packet_touch,
  llc_hit,
  llc_miss,
  page_pool_cache_get,
  page_pool_cache_put,
  page_pool_ring_get,
  page_pool_ring_put,
  ptr_ring_lock,
  pcp_alloc,
  pcp_free,
  zone_lock,
  buddy_page,
  page_alloc_single,
  dma_map,
  dma_unmap,
  skb_alloc,
  skb_alloc_bulk,
  skb_build,
  skb_free,
  skb_free_bulk,
  gro_receive,
  netif_receive,
  netfilter_raw,
  netfilter_filter,
  conntrack,
  fib_input,
  udp_receive,
  udp_no_port,
  tcp_receive,
  tcp_ack,
  socket_enqueue,
  socket_wakeup,
  syscall_entry,
  socket_dequeue,
  copy_to_user,
  skb_defer_push,
  ipi,
  context_switch,
  tick,
  ksoftirqd_wake,
  kswapd_batch,
};
inline constexpr std::size_t step_count = static_cast<std::size_t>(Step::kswapd_batch) + 1;

struct StepInfo {
  Step step;
  std::string_view name;
  std::string_view per;  ///< what one price is for; the file has to say the same
  std::string_view meaning;
};
extern const std::array<StepInfo, step_count> calibration_steps;

struct StepCost {
  Time fixed;
  std::int64_t ps_per_byte = 0;  ///< copy_to_user only; 0 elsewhere
};

struct LlcCalibration {
  std::uint64_t bytes = 0;
  std::uint32_t ways = 0;
  std::uint32_t ddio_ways = 0;
};

struct PcieCalibration {
  std::int64_t ps_per_byte = 0;
  Time packet;               ///< descriptor fetch and completion of a received packet
  Time packet_cqe_compress;  ///< the same with completion compression
  Time tx_packet;            ///< descriptor read and completion of a transmitted packet
  Time latency;              ///< last byte sent to completion visible
};

struct IdleCost {
  Time exit;       ///< wake-up latency
  Time residency;  ///< the governor enters it only for idle periods expected to be at least this long
};

struct IdleCalibration {
  IdleCost poll;
  IdleCost c1;
  IdleCost deep;
};

struct Calibration {
  std::string name;
  std::string machine;
  std::string era;
  std::string mixes_eras;  ///< why numbers of other eras stand in it; empty: there are none
  bool provisional = false;
  std::array<StepCost, step_count> steps{};
  LlcCalibration llc;
  PcieCalibration pcie;
  IdleCalibration idle;

  Time cost(Step step) const { return steps[static_cast<std::size_t>(step)].fixed; }
  std::int64_t ps_per_byte(Step step) const { return steps[static_cast<std::size_t>(step)].ps_per_byte; }
};

/// Throws InputError naming source and place. Refused: a missing or unknown step, a number without a figure, a number
/// of another era unless the file says why it mixes them.
Calibration load_calibration(std::string_view text, const std::string& source_name);
Calibration load_calibration_file(const std::string& path);

}  // namespace rxpool
