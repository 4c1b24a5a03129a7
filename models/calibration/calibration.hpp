#pragma once
// What each step of the receive path costs on one machine in one era (design: CPU, cost and cache). A calibration file
// holds nanoseconds with the figure behind each number; here they are integer picoseconds, made once. Steps, not
// scenarios: no cost is named after what is measured. A file may stand on another one (`base`) and change what a NIC's
// driver does; a fitted file says which numbers were fitted, to which figures, and how sure they are. Leaves out how
// steps combine: that is the models' business.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/random.hpp"
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
  xsk_ring_get,
  xsk_ring_put,
  rx_burst,
  mempool_get,
  mempool_put,
  packet_touch,
  llc_hit,
  llc_miss,
  llc_read_miss,
  page_pool_cache_get,
  page_pool_cache_put,
  page_pool_ring_get,
  page_pool_ring_put,
  page_pool_release,
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
  retpoline,
};
inline constexpr std::size_t step_count = static_cast<std::size_t>(Step::retpoline) + 1;

struct StepInfo {
  Step step;
  std::string_view name;
  std::string_view per;  ///< what one price is for; the file has to say the same
  std::string_view meaning;
  bool driver = false;  ///< a file for another NIC of the same machine may change it
};
extern const std::array<StepInfo, step_count> calibration_steps;

struct StepCost {
  Time fixed;
  std::int64_t ps_per_byte = 0;      ///< copy_to_user only; 0 elsewhere
  std::uint32_t indirect_calls = 0;  ///< made through pointers: dearer with retpolines
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
  /// The first packet after a sleep finds cold caches: it costs this many thousandths of a packet more.
  std::int64_t cold_permille = 0;
};

/// What a fit found: each parameter is a factor on some numbers of the file, with the covariance of the factors.
struct CalibrationFit {
  struct Parameter {
    std::string name;
    std::vector<std::string> numbers;  ///< dotted places: steps.hardirq, pcie.packet_ns, idle.deep.exit_ns
    double factor = 1;                 ///< fitted, over the prior; the numbers in the file contain it
  };
  std::vector<Parameter> parameters;
  std::vector<std::vector<double>> covariance;  ///< of the factors, in the order of `parameters`
};

struct Calibration {
  std::string name;
  std::string machine;
  std::string era;
  std::string mixes_eras;            ///< why numbers of other eras stand in it; empty: there are none
  std::vector<std::string> drivers;  ///< NIC drivers that its figures were measured with
  bool provisional = false;
  std::array<StepCost, step_count> steps{};
  LlcCalibration llc;
  PcieCalibration pcie;
  IdleCalibration idle;
  std::vector<CalibrationFit> fits;  ///< the base's before its own

  bool calibrated_for(std::string_view driver) const {
    return std::find(drivers.begin(), drivers.end(), driver) != drivers.end();
  }
  /// Every step dearer by its indirect calls (kernel.retpoline).
  void add_retpolines();
  /// Fitted numbers drawn from the covariance of their fit; the same for the same state of the stream.
  void draw(RandomStream& random);

  Time cost(Step step) const { return steps[static_cast<std::size_t>(step)].fixed; }
  std::int64_t ps_per_byte(Step step) const { return steps[static_cast<std::size_t>(step)].ps_per_byte; }
};

/// Throws InputError naming source and place. Refused: a missing or unknown step, a number without a figure, a number
/// of another era unless the file says why it mixes them. A file's base lies in `folder`.
Calibration load_calibration(std::string_view text, const std::string& source_name, const std::string& folder = "");
Calibration load_calibration_file(const std::string& path);
/// The file and the one it stands on.
std::vector<std::string> calibration_files(const std::string& path);

}  // namespace rxpool
