#pragma once
// NET_RX softirq of one CPU: poll_list, net_rx_action, the restart rule and the hand-over to ksoftirqd. Rules NA-2,
// NA-10 to NA-13, NA-20 to NA-22, NA-30 to NA-32. Only NET_RX is modelled; other vectors do no work here. Resumable: it
// works on the core's clock and stops between two steps when the core must wait for others or an interrupt is due.

#include <cstdint>

#include "models/cpu/napi.hpp"
#include "sim/time.hpp"

namespace rxpool {

class Core;

struct SoftirqParams {
  std::uint32_t netdev_budget = 300;
  std::uint32_t netdev_budget_usecs = 2000;
  std::uint32_t hz = 1000;
};

/// /proc/net/softnet_stat and beyond.
struct SoftnetStats {
  std::uint64_t processed = 0;  ///< __netif_receive_skb_core rounds
  std::uint64_t dropped = 0;    ///< backlog full
  std::uint64_t time_squeeze = 0;
  std::uint64_t net_rx_action = 0;  ///< passes
  std::uint64_t polls = 0;          ///< tracepoint napi:napi_poll
  std::uint64_t poll_work = 0;
  std::uint64_t poll_full = 0;  ///< polls that used the whole weight
  std::uint64_t ksoftirqd_wakeups = 0;
};

/// Frees that other CPUs left for this one (SK-42); flushed at the start of each round of net_rx_action.
class DeferredWork {
 public:
  virtual ~DeferredWork() = default;
  /// Frees what is visible when it begins. Resumable; false: others or an interrupt come first.
  virtual bool flush(Core& core) = 0;
};

class Softirq {
 public:
  explicit Softirq(const SoftirqParams& params) : params_(params) {}

  /// NA-2: adds the NAPI to this CPU's list and raises the softirq.
  void schedule(Napi& napi, int cpu);
  void raise() { raised_ = true; }
  bool raised() const { return raised_; }
  bool active() const { return active_; }
  bool from_ksoftirqd() const { return from_ksoftirqd_; }

  /// handle_softirqs begins; `from_ksoftirqd` only changes who is charged.
  void start(Core& core, bool from_ksoftirqd);
  /// Goes on as far as it can. False: waiting (the core has re-armed) or an interrupt is due first.
  bool run(Core& core);

  void set_deferred(DeferredWork* deferred) { deferred_ = deferred; }
  DeferredWork* deferred() { return deferred_; }
  const SoftnetStats& stats() const { return stats_; }
  SoftnetStats& stats() { return stats_; }

 private:
  enum class Phase : std::uint8_t { pass_begin, flush, select, polling, pass_end };
  static constexpr std::uint32_t max_restart = 10;  // MAX_SOFTIRQ_RESTART
  std::int64_t jiffies(Time at) const { return at / (seconds(1) / params_.hz); }
  std::int64_t to_jiffies(Time span) const;
  void finish_poll();
  void finish_pass();

  SoftirqParams params_;
  SoftnetStats stats_;
  DeferredWork* deferred_ = nullptr;
  NapiList poll_list_;  // softnet_data.poll_list
  NapiList list_;       // private to the running net_rx_action
  NapiList repoll_;
  Napi* current_ = nullptr;
  Phase phase_ = Phase::pass_begin;
  bool raised_ = false;
  bool active_ = false;
  bool in_net_rx_action_ = false;
  bool from_ksoftirqd_ = false;
  std::uint32_t restarts_left_ = 0;
  std::int64_t end_jiffies_ = 0;
  std::int64_t budget_ = 0;
  std::int64_t time_limit_jiffies_ = 0;
};

}  // namespace rxpool
