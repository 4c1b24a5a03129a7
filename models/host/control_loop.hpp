#pragma once
// The feedback loop of a host: at a fixed period it reads every RX queue and its memory, runs the detectors and
// breakers of models/control on what it read, and acts: breaker gates at once, the signal after its latency, pool
// limits and returned pages at once. Its looks take no time here (what they cost a CPU is ControlThread's); what
// returned pages would have cost is counted. A driver that keeps its counters for a while is met at its own times: a
// look in between sees the last value (CT-26). Both the simulator and the reference engine drive it. Rules CT-1 to
// CT-42 and CT-50 to CT-51.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/bpf/contexts.hpp"
#include "models/control/breaker.hpp"
#include "models/control/leak.hpp"
#include "models/control/overload.hpp"
#include "models/control/page_return.hpp"
#include "models/control/situation.hpp"
#include "models/control/working_set.hpp"
#include "models/control/working_set_score.hpp"
#include "models/host/pool_replay.hpp"
#include "models/memory/page_allocator.hpp"
#include "models/memory/page_pool.hpp"
#include "models/scenario/control_params.hpp"
#include "models/xdp/program.hpp"

namespace rxpool {

/// What the loop reads of a queue at one instant.
struct QueueReading {
  QueueSample queue;
  std::uint32_t held = 0;
  std::uint32_t inflight = 0;
  std::uint32_t posted = 0;
};

/// What the loop is told about a queue.
struct ControlledQueue {
  std::string name;  ///< component path
  unsigned node = 0;
  PagePool* pool = nullptr;  ///< null for drivers without one
  BreakerGate* gate = nullptr;
  bpf::Signal* signal = nullptr;  ///< in the attached program's map; null without one
  InputSources inputs;
  std::function<QueueReading(Time now)> read;
};

/// Means over the run of what a perfect detector would have said (CT-10, CT-11).
struct QueueTruth {
  double oracle_10ms = 0;
  double oracle_100ms = 0;
  double oracle_1s = 0;
  double oracle_100ms_1pct = 0;  ///< exceeded for 1 % of the window
  double smallest_pool = 0;      ///< pages with which no allocation is slow (CT-14); NaN when no number suffices
};

/// Everything the loop knows of one queue; the numbers are metrics.
struct QueueControl {
  explicit QueueControl(ControlledQueue controlled, const scenario::ControlParams& params, Time period, Time jiffy);

  /// What the queue's page_pools have counted, the present one last.
  PagePoolStats pool_stats() const;

  ControlledQueue queue;
  PagePoolStats earlier_pools;                                 ///< of those that left, when they did
  std::vector<std::unique_ptr<WorkingSetDetector>> detectors;  ///< in the order of their names
  std::size_t used = 0;                                        ///< the one whose estimate is used
  OverloadDetector overload;
  CircuitBreaker breaker;
  SituationObserver situation;
  LeakObserver leak;
  PageReturn page_return;
  double steady_pages = 0;  ///< last steady estimate
  QueueReading reading;
  Time next_refresh = Time::never();  ///< of the driver's counter of lost frames
  std::uint64_t hw_drops = 0;         ///< as the driver last renewed it
  std::uint32_t state = 0;            ///< state bits as last read
  // Metrics; times in ps.
  std::uint64_t rx_overload_ps = 0;
  std::uint64_t tx_overload_ps = 0;
  std::uint64_t breaker_ps[breaker_states] = {};
  std::uint64_t situation_ps[situations] = {};
  std::uint64_t trips = 0;
  double held_page_seconds = 0;
  double pool_page_seconds = 0;
  // Series for the scores: largest held and last estimate of each detector, per interval.
  std::vector<double> held_series;
  std::vector<std::vector<WorkingSetEstimate>> estimate_series;
  double held_most = 0;
  std::vector<PoolMoves> moves;  ///< of a pool, per interval
  PoolMoves totals;              ///< of its counters when the last entry was made
  std::uint32_t outside_first = 0;
  std::uint32_t outside_most = 0;
  std::vector<WorkingSetScore> scores;  ///< by detector; made by finish()
  QueueTruth truth;
};

struct ControlStats {
  std::uint64_t looks = 0;  ///< readings of a queue
  std::uint64_t signal_writes = 0;
  std::uint64_t pages_returned = 0;
  std::uint64_t return_ps = 0;                   ///< price of giving pages back
  std::uint64_t free_least = ~std::uint64_t{0};  ///< smallest number of free pages of a node seen at a look
};

class ControlLoop {
 public:
  /// Throws InputError for a detector whose inputs a queue's driver does not supply.
  ControlLoop(const scenario::ControlParams& params, std::uint32_t hz, Time end, PageAllocator& allocator,
              std::vector<ControlledQueue> queues);

  /// When act() is next due.
  Time next() const;
  /// Is something read then? Otherwise only a signal arrives, and nothing need be settled.
  bool looks_at(Time now) const { return now == next_look_ || now == next_refresh_; }
  /// Does everything that is due at `now`: signals that arrive first, then counters that drivers renew, then the
  /// reading. `others`: the CPU that gives pages back, by node.
  void act(Time now, const std::function<MemoryContext(unsigned node)>& others);

  /// A queue's driver takes its page_pool down and has another one right after. Held begins anew with it; the counters
  /// that detectors read go on where those of the last one were, and leave out what comes home to that one later.
  void pool_leaves(const std::string& queue);
  void pool_comes(const std::string& queue, PagePool& pool);
  /// After time stopped: makes the scores from the series.
  void finish();

  std::vector<std::unique_ptr<QueueControl>>& queues() { return queues_; }
  const ControlStats& stats() const { return stats_; }
  const scenario::ControlParams& params() const { return params_; }
  std::vector<std::string> warnings() const;
  /// Largest minimum watermark of a node.
  std::uint64_t watermark_min() const;
  const CircuitBreaker& breaker_of(const QueueControl& control) const {
    return params_.breaker.scope == scenario::BreakerScope::global ? global_ : control.breaker;
  }

 private:
  void look(Time now, const std::function<MemoryContext(unsigned node)>& others);
  void refresh(Time now);
  void detect(QueueControl& control, Time now);
  void protect(Time now);
  void manage_pool(QueueControl& control, Time step, const std::function<MemoryContext(unsigned node)>& others);
  void count(QueueControl& control, Time step);
  void record(QueueControl& control);
  void send(QueueControl& control, std::size_t queue, Time now);
  void deliver(Time now);
  BreakerSample breaker_sample(const QueueControl& control, Time now) const;

  scenario::ControlParams params_;
  PageAllocator& allocator_;
  Time period_;
  Time signal_period_;
  Time latency_;
  Time score_every_;
  Time next_look_;
  Time next_refresh_ = Time::never();  ///< earliest of the queues'
  Time next_signal_;
  Time next_record_ = Time::never();
  Time last_look_{0};
  std::vector<std::unique_ptr<QueueControl>> queues_;
  CircuitBreaker global_;
  /// Signals under way, oldest first: a ring of one slot per queue and period of latency.
  struct Letter {
    Time at;
    std::size_t queue;
    bpf::Signal signal;
  };
  std::vector<Letter> letters_;
  std::size_t first_letter_ = 0;
  std::size_t letter_count_ = 0;
  ControlStats stats_;
};

}  // namespace rxpool
