#include "kernel/lab/agent.hpp"

#include <sys/sysinfo.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kernel/lab/reader.hpp"
#include "models/control/signal_state.hpp"
#include "models/scenario/control_settings.hpp"

namespace rxpool::lab {
namespace {

constexpr double page_bytes = 4096;
constexpr std::size_t most_looks = 1 << 20;  // of one run; later ones act but are not written down

OverloadParams without_backlog(OverloadParams params) {
  params.backlog_share = 2;  // no driver exports it: above 1 the input is not used (CT-20)
  return params;
}

Time time_of(std::int64_t time_ns) {
  return nanoseconds(time_ns);
}

}  // namespace

HostMemory read_zones() {
  HostMemory memory;
  std::ifstream file("/proc/zoneinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    double value = 0;
    if (words >> name >> value) {
      memory.low += name == "low" ? value : 0;
      memory.high += name == "high" ? value : 0;
      memory.managed += name == "managed" ? value : 0;
    }
  }
  return memory;
}

Agent::Agent(const scenario::ControlParams& params, std::uint32_t hz, Probes& probes, bpf::Signal& signal)
    : params_(params),
      probes_(probes),
      signal_(signal),
      memory_(read_zones()),
      overload_(without_backlog(scenario::overload_params(params.overload))),
      breaker_(scenario::breaker_params(params.breaker)) {
  const Time period = time_of(static_cast<std::int64_t>(params.period_us * 1000));
  for (const auto& [name, fields] : params.detectors) {
    if (name == params.working_set) {
      used_ = detectors_.size();
    }
    detectors_.push_back(make_detector(scenario::detector_params(fields, period, seconds(1) / hz)));
  }
  looks_.reserve(most_looks);
}

Agent::~Agent() {
  stop();
}

void Agent::start() {
  thread_ = std::thread([this] { work(); });
}

void Agent::stop() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Agent::work() {
  go_before_others(Urgency::samples);
  const auto period_ns = static_cast<std::int64_t>(params_.period_us * 1000);
  for (std::int64_t next_ns = now_ns(); !stop_; next_ns = std::max(next_ns + period_ns, now_ns())) {
    sleep_until_ns(next_ns);
    const Look done = look();
    if (looks_.size() < most_looks) {
      looks_.push_back(done);
    }
  }
}

Agent::Look Agent::look() {
  const std::int64_t cpu_before_ns = thread_cpu_ns();
  const PageLevels levels = probes_.levels();
  struct sysinfo system{};
  sysinfo(&system);
  memory_.free_pages = static_cast<double>(system.freeram) * system.mem_unit / page_bytes;
  detect(levels);
  const std::uint32_t state =
      params_.signal.zero ? 0 : signal_state_bits(breaker_, overload_, memory_.free_pages <= memory_.low);
  write(levels, state);
  return {.read_ns = levels.time_ns,
          .written_ns = now_ns(),
          .cpu_ns = thread_cpu_ns() - cpu_before_ns,
          .held = levels.held,
          .working_set = steady_pages_,
          .state = state};
}

void Agent::detect(const PageLevels& levels) {
  const LabCounters& counters = probes_.counters();
  PoolSample pool;
  pool.now = time_of(levels.time_ns);
  pool.held = levels.held;
  pool.free_pages = levels.cache + levels.ring;
  pool.slow_allocs = counters.pool_holds;  // the page allocator gives pages in bulks: it moves when it was asked
  for (const auto& detector : detectors_) {
    detector->observe(pool);
  }
  if (!detectors_.empty() && detectors_[used_]->estimate().state == WorkingSetState::steady) {
    steady_pages_ = detectors_[used_]->estimate().pages;
  }
  QueueSample queue;
  queue.now = pool.now;
  queue.hw_drops = counters.devmap_drops;
  queue.polls = counters.polls;
  queue.full_polls = counters.full_polls;
  overload_.observe(queue);
  BreakerSample sample;
  sample.now = pool.now;
  sample.held = levels.held;
  sample.working_set = steady_pages_;
  sample.free_pages = memory_.free_pages;
  sample.low = memory_.low;
  sample.high = memory_.high;
  sample.zone_pages = memory_.managed;
  breaker_.observe(sample);
}

// A reader sees an odd sequence number while this goes on; x86 keeps the order of stores, the fences bind the compiler.
void Agent::write(const PageLevels& levels, std::uint32_t state) {
  namespace valid = bpf::signal_valid;
  bpf::Signal next;
  next.abi = bpf::signal_abi;
  next.seq = signal_.seq + 1;
  next.state = state;
  next.valid = valid::state | valid::held | valid::inflight | valid::hw_drops_total;
  next.updated_ns = static_cast<std::uint64_t>(levels.time_ns);
  next.held = static_cast<std::uint32_t>(std::max(levels.held, 0));
  next.inflight = static_cast<std::uint32_t>(std::max(levels.inflight, 0));
  if (steady_pages_ > 0) {
    next.working_set = static_cast<std::uint32_t>(steady_pages_ + 0.5);
    next.valid |= valid::working_set;
  }
  if (params_.breaker.params.threshold != BreakerThreshold::none) {
    next.limit = static_cast<std::uint32_t>(std::min(breaker_.limit(), 4294967295.0));
    next.valid |= valid::limit;
  }
  next.hw_drops_total = probes_.counters().devmap_drops;
  const std::atomic_ref<std::uint32_t> seq(signal_.seq);
  seq.store(next.seq, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  signal_ = next;
  std::atomic_thread_fence(std::memory_order_release);
  seq.store(next.seq + 1, std::memory_order_release);
}

nlohmann::json Agent::report(std::int64_t begin_ns) const {
  nlohmann::json columns;
  for (const Look& look : looks_) {
    columns["read_ns"].push_back(look.read_ns - begin_ns);
    columns["written_ns"].push_back(look.written_ns - begin_ns);
    columns["cpu_ns"].push_back(look.cpu_ns);
    columns["held"].push_back(look.held);
    columns["working_set"].push_back(look.working_set);
    columns["state"].push_back(look.state);
  }
  return columns;
}

}  // namespace rxpool::lab
