#include "models/host/control_loop.hpp"

#include <algorithm>

#include "models/control/signal_state.hpp"
#include "models/scenario/control_settings.hpp"
#include "models/scenario/scenario.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

SituationParams situation_params(const scenario::ControlParams& params) {
  SituationParams situation;
  situation.persists = time_from_ms(params.breaker.reference_rtt_ms);
  return situation;
}

PageReturnParams return_params(const scenario::PoolFields& fields) {
  PageReturnParams params = fields.params;
  params.half_life = time_from_ms(fields.half_life_ms);
  return params;
}

BreakerGate::Level level_of(BreakerState state) {
  switch (state) {
    case BreakerState::closed:
    case BreakerState::holding:
      return BreakerGate::Level::closed;
    case BreakerState::half_open:
      return BreakerGate::Level::half_open;
    case BreakerState::open:
      return BreakerGate::Level::open;
    case BreakerState::hard:
      return BreakerGate::Level::hard;
  }
  return BreakerGate::Level::closed;
}

const InputSource& drops_source(const ControlledQueue& queue) {
  return queue.inputs[static_cast<std::size_t>(OverloadInput::hw_drops)];
}

PoolSample pool_sample(const QueueControl& control, Time now) {
  PoolSample sample;
  sample.now = now;
  sample.held = control.reading.held;
  if (const PagePool* pool = control.queue.pool) {
    const PagePoolStats stats = control.pool_stats();
    // CT-1: every way out of the pool and every way back (PP-10 to PP-13, PP-23 to PP-28).
    sample.allocs = stats.alloc_fast + stats.alloc_refill + stats.alloc_slow + stats.alloc_slow_high_order;
    sample.frees = stats.recycle_cached + stats.recycle_ring + stats.ring_full_released + stats.recycle_released_refcnt;
    sample.slow_allocs = stats.alloc_slow + stats.alloc_slow_high_order;
    sample.free_pages = pool->cache_count() + pool->ring_count();
  }
  return sample;
}

}  // namespace

QueueControl::QueueControl(ControlledQueue controlled, const scenario::ControlParams& params, Time period, Time jiffy)
    : queue(std::move(controlled)),
      overload(scenario::overload_params(params.overload)),
      breaker(scenario::breaker_params(params.breaker)),
      situation(situation_params(params)),
      leak(time_from_ms(params.leak.window_ms)),
      page_return(return_params(params.pool)) {
  for (const auto& [name, fields] : params.detectors) {
    const DetectorInputs inputs = detector_inputs(fields.params.kind);
    if (queue.pool == nullptr && (inputs.counters || inputs.slow_allocs)) {
      throw InputError("control.detectors." + name + ": " + std::string(detector_name(fields.params.kind)) +
                       " reads the counters of a page_pool, and the driver of " + queue.name + " has none");
    }
    if (name == params.working_set) used = detectors.size();
    detectors.push_back(make_detector(scenario::detector_params(fields, period, jiffy)));
  }
  scores.resize(detectors.size());
  if (queue.gate != nullptr) queue.gate->probe_one_in = params.breaker.probe_one_in;
  if (const Time refreshed = drops_source(queue).refresh; refreshed > Time{0}) next_refresh = refreshed;
}

PagePoolStats QueueControl::pool_stats() const {
  PagePoolStats all = earlier_pools;
  all += queue.pool->stats;
  return all;
}

ControlLoop::ControlLoop(const scenario::ControlParams& params, std::uint32_t hz, Time end, PageAllocator& allocator,
                         std::vector<ControlledQueue> queues)
    : params_(params),
      allocator_(allocator),
      period_(time_from_us(params.period_us)),
      signal_period_(time_from_us(params.signal.period_us)),
      latency_(time_from_us(params.signal.latency_us)),
      score_every_(time_from_us(params.score.every_us)),
      next_look_(period_),
      next_signal_(signal_period_),
      global_(scenario::breaker_params(params.breaker)) {
  const Time jiffy = seconds(1) / hz;
  for (ControlledQueue& queue : queues) {
    queues_.push_back(std::make_unique<QueueControl>(std::move(queue), params_, period_, jiffy));
    next_refresh_ = std::min(next_refresh_, queues_.back()->next_refresh);
  }
  letters_.resize((static_cast<std::size_t>(latency_ / signal_period_) + 2) * std::max<std::size_t>(1, queues_.size()));
  if (!params_.score.enabled) return;
  next_record_ = score_every_;
  const auto readings = static_cast<std::size_t>(end / score_every_) + 1;
  for (const auto& control : queues_) {
    control->held_series.reserve(readings);
    control->moves.reserve(readings);
    control->estimate_series.resize(control->detectors.size());
    for (auto& series : control->estimate_series) series.reserve(readings);
  }
}

Time ControlLoop::next() const {
  const Time reads = std::min(next_look_, next_refresh_);
  return letter_count_ == 0 ? reads : std::min(reads, letters_[first_letter_].at);
}

void ControlLoop::act(Time now, const std::function<MemoryContext(unsigned node)>& others) {
  deliver(now);
  if (now == next_refresh_) refresh(now);
  if (now != next_look_) return;
  look(now, others);
  next_look_ += period_;
  deliver(now);  // without latency the signal is there at once
}

void ControlLoop::look(Time now, const std::function<MemoryContext(unsigned node)>& others) {
  const Time step = now - last_look_;
  last_look_ = now;
  for (const auto& control : queues_) {
    count(*control, step);
    detect(*control, now);
  }
  protect(now);
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    QueueControl& control = *queues_[i];
    manage_pool(control, step, others);
    if (now >= next_signal_) send(control, i, now);
  }
  if (now >= next_signal_) next_signal_ += signal_period_;
  if (now >= next_record_) {
    for (const auto& control : queues_) record(*control);
    next_record_ += score_every_;
  }
}

void ControlLoop::refresh(Time now) {
  next_refresh_ = Time::never();
  for (const auto& control : queues_) {
    if (control->next_refresh == now) {
      control->hw_drops = control->queue.read(now).queue.hw_drops;
      control->next_refresh += drops_source(control->queue).refresh;
    }
    next_refresh_ = std::min(next_refresh_, control->next_refresh);
  }
}

/// The state that was in force since the last look.
void ControlLoop::count(QueueControl& control, Time step) {
  const auto ps = static_cast<std::uint64_t>(step.ps);
  if ((control.state & bpf::signal_state::rx_overload) != 0) control.rx_overload_ps += ps;
  if ((control.state & bpf::signal_state::tx_overload) != 0) control.tx_overload_ps += ps;
  const CircuitBreaker& breaker = breaker_of(control);
  control.breaker_ps[static_cast<std::size_t>(breaker.state())] += ps;
  control.situation_ps[static_cast<std::size_t>(control.situation.situation())] += ps;
}

void ControlLoop::detect(QueueControl& control, Time now) {
  ++stats_.looks;
  const Time before = control.reading.queue.now;
  control.reading = control.queue.read(now);
  if (control.next_refresh != Time::never()) control.reading.queue.hw_drops = control.hw_drops;
  const double span = static_cast<double>((now - before).ps) * 1e-12;
  control.held_page_seconds += span * control.reading.held;
  const PoolSample sample = pool_sample(control, now);
  control.pool_page_seconds += span * static_cast<double>(sample.held + sample.free_pages);
  for (const auto& detector : control.detectors) detector->observe(sample);
  if (!control.detectors.empty()) {
    const WorkingSetEstimate& estimate = control.detectors[control.used]->estimate();
    if (estimate.state == WorkingSetState::steady) control.steady_pages = estimate.pages;
  }
  control.overload.observe(control.reading.queue);
  const Zone& zone = allocator_.zones()[control.queue.node];
  stats_.free_least = std::min(stats_.free_least, zone.nr_free_pages());
  SituationSample situation;
  situation.now = now;
  situation.held = control.reading.held;
  situation.free_pages = static_cast<double>(zone.nr_free_pages());
  situation.low = static_cast<double>(zone.wmark_pages(Watermark::low));
  situation.rx_overload = control.overload.rx();
  control.situation.observe(situation);
  if (params_.leak.window_ms > 0) control.leak.observe(now, control.reading.held);
  control.held_most = std::max(control.held_most, static_cast<double>(control.reading.held));
  control.outside_most = std::max(control.outside_most, control.reading.held + control.reading.posted);
}

BreakerSample ControlLoop::breaker_sample(const QueueControl& control, Time now) const {
  const Zone& zone = allocator_.zones()[control.queue.node];
  BreakerSample sample;
  sample.now = now;
  sample.held = control.reading.held;
  sample.working_set = control.steady_pages;
  sample.ring = control.reading.posted;
  sample.free_pages = static_cast<double>(zone.nr_free_pages());
  sample.low = static_cast<double>(zone.wmark_pages(Watermark::low));
  sample.high = static_cast<double>(zone.wmark_pages(Watermark::high));
  sample.zone_pages = static_cast<double>(zone.managed_pages());
  return sample;
}

void ControlLoop::protect(Time now) {
  const bool global = params_.breaker.scope == scenario::BreakerScope::global;
  BreakerSample all;
  for (const auto& control : queues_) {
    BreakerSample sample = breaker_sample(*control, now);
    if (!global) {
      control->breaker.observe(sample);
      continue;
    }
    sample.held += all.held;
    sample.working_set += all.working_set;
    sample.ring += all.ring;
    all = sample;
  }
  if (global && !queues_.empty()) global_.observe(all);
  for (const auto& control : queues_) {
    const CircuitBreaker& breaker = global ? global_ : control->breaker;
    control->trips = breaker.stats().trips;
    if (control->queue.gate != nullptr) control->queue.gate->level = level_of(breaker.state());
    const Zone& zone = allocator_.zones()[control->queue.node];
    const bool low = zone.nr_free_pages() <= zone.wmark_pages(Watermark::low);
    control->state = signal_state_bits(breaker, control->overload, low);
  }
}

void ControlLoop::manage_pool(QueueControl& control, Time step,
                              const std::function<MemoryContext(unsigned node)>& others) {
  PagePool* pool = control.queue.pool;
  if (pool == nullptr) return;
  if (params_.pool.params.rule == ReturnRule::never && params_.pool.params.limit == LimitRule::none) return;
  PoolLevels levels;
  levels.step = step;
  levels.known = control.steady_pages > 0;
  levels.working_set = control.steady_pages;
  levels.held = control.reading.held;
  levels.posted = control.reading.posted;
  levels.free_pages = pool->cache_count() + pool->ring_count();
  levels.ring_pages = pool->ring_count();
  if (params_.pool.params.limit != LimitRule::none) {
    pool->set_limit(control.page_return.limit(levels), params_.pool.params.limit == LimitRule::absolute);
  }
  const std::uint32_t pages = control.page_return.pages_to_return(levels);
  if (pages == 0) return;
  MemoryContext context = others(control.queue.node);
  stats_.pages_returned += pool->return_from_ring(context, pages);
  stats_.return_ps += static_cast<std::uint64_t>(context.cost.ps);
}

void ControlLoop::pool_leaves(const std::string& queue) {
  for (const auto& control : queues_) {
    if (control->queue.name == queue) control->earlier_pools = control->pool_stats();
  }
}

void ControlLoop::pool_comes(const std::string& queue, PagePool& pool) {
  for (const auto& control : queues_) {
    if (control->queue.name == queue) control->queue.pool = &pool;
  }
}

void ControlLoop::send(QueueControl& control, std::size_t queue, Time now) {
  if (control.queue.signal == nullptr) return;
  namespace valid = bpf::signal_valid;
  const CircuitBreaker& breaker = breaker_of(control);
  bpf::Signal signal;
  signal.abi = bpf::signal_abi;
  signal.state = params_.signal.zero ? 0 : control.state;
  signal.valid = valid::state | valid::held | valid::rx_fill | valid::rx_size | valid::hw_drops_total;
  if (control.queue.pool != nullptr) signal.valid |= valid::inflight;
  signal.held = control.reading.held;
  signal.inflight = control.reading.inflight;
  if (control.steady_pages > 0) {
    signal.working_set = static_cast<std::uint32_t>(control.steady_pages + 0.5);
    signal.valid |= valid::working_set;
  }
  if (params_.breaker.params.threshold != BreakerThreshold::none) {
    signal.limit = static_cast<std::uint32_t>(std::min(breaker.limit(), 4294967295.0));
    signal.valid |= valid::limit;
  }
  signal.rx_fill = control.reading.queue.rx_backlog;
  signal.rx_size = control.reading.queue.rx_size;
  signal.hw_drops_total = control.reading.queue.hw_drops;
  if (control.reading.queue.tx_size != 0) {
    signal.tx_fill = control.reading.queue.tx_fill;
    signal.tx_size = control.reading.queue.tx_size;
    signal.valid |= valid::tx_fill | valid::tx_size;
  }
  ensure(letter_count_ < letters_.size(), "control: more signals under way than latency and period allow");
  letters_[(first_letter_ + letter_count_) % letters_.size()] = {now + latency_, queue, signal};
  ++letter_count_;
}

void ControlLoop::deliver(Time now) {
  while (letter_count_ != 0 && letters_[first_letter_].at <= now) {
    const Letter& letter = letters_[first_letter_];
    bpf::Signal& signal = *queues_[letter.queue]->queue.signal;
    // Written in one instant: nobody sees the odd sequence number.
    const std::uint32_t seq = signal.seq + 2;
    signal = letter.signal;
    signal.seq = seq;
    signal.updated_ns = static_cast<std::uint64_t>(now.ps / 1000);
    first_letter_ = (first_letter_ + 1) % letters_.size();
    --letter_count_;
    ++stats_.signal_writes;
  }
}

std::uint64_t ControlLoop::watermark_min() const {
  std::uint64_t most = 0;
  for (const Zone& zone : allocator_.zones()) most = std::max(most, zone.wmark_pages(Watermark::min));
  return most;
}

std::vector<std::string> ControlLoop::warnings() const {
  BreakerScale scale;
  std::vector<std::string> of_inputs;
  for (const auto& control : queues_) {
    const QueueReading reading = control->queue.read(Time{0});
    const auto zone_pages = static_cast<double>(allocator_.zones()[control->queue.node].managed_pages());
    scale.ring = std::max(scale.ring, static_cast<double>(reading.posted));
    scale.zone_pages = scale.zone_pages == 0 ? zone_pages : std::min(scale.zone_pages, zone_pages);
    if (control->queue.signal == nullptr) continue;
    for (std::string& text : overload_warnings(control->overload, control->queue.inputs, period_, "control.overload")) {
      if (std::find(of_inputs.begin(), of_inputs.end(), text) == of_inputs.end()) of_inputs.push_back(std::move(text));
    }
  }
  std::vector<std::string> all = breaker_warnings(breaker_params(params_.breaker), scale, "control.breaker");
  const bool signal =
      std::any_of(queues_.begin(), queues_.end(), [](const auto& control) { return control->queue.signal != nullptr; });
  if (signal && params_.signal.latency_us == 0) {
    all.push_back("control.signal.latency_us: 0 is ideal, in the driver; an agent needs about 100");
  }
  all.insert(all.end(), of_inputs.begin(), of_inputs.end());
  return all;
}

}  // namespace rxpool
