#include "models/cpu/softirq.hpp"

#include "models/cpu/core.hpp"

namespace rxpool {

std::int64_t Softirq::to_jiffies(Time span) const {
  const Time jiffy = seconds(1) / params_.hz;
  return (span + jiffy - picoseconds(1)) / jiffy;
}

void Softirq::schedule(Napi& napi, int cpu) {
  napi.list_owner = cpu;
  poll_list_.push_back(napi);
  if (!in_net_rx_action_) raised_ = true;
}

void Softirq::start(Core& core, bool from_ksoftirqd) {
  active_ = true;
  from_ksoftirqd_ = from_ksoftirqd;
  restarts_left_ = max_restart;
  end_jiffies_ = jiffies(core.now()) + to_jiffies(milliseconds(2));  // MAX_SOFTIRQ_TIME
  phase_ = Phase::pass_begin;
  core.charge(Step::softirq_entry);
}

bool Softirq::run(Core& core) {
  while (true) {
    if (core.interrupt_due()) return true;
    switch (phase_) {
      case Phase::pass_begin:
        if (!core.may_step(EventClass::poll)) return false;
        raised_ = false;
        in_net_rx_action_ = true;
        ++stats_.net_rx_action;
        budget_ = params_.netdev_budget;
        time_limit_jiffies_ = jiffies(core.now()) + to_jiffies(microseconds(params_.netdev_budget_usecs));
        list_.splice(poll_list_);
        phase_ = Phase::flush;
        break;
      case Phase::flush:
        if (!deferred_->flush(core)) return core.interrupt_due();
        phase_ = Phase::select;
        break;
      case Phase::select:
        if (!core.may_step_ahead(EventClass::interrupt)) return false;
        if (list_.empty()) {
          // Newly scheduled NAPIs join this pass only while nothing waits for repoll.
          if (repoll_.empty()) list_.splice(poll_list_);
          phase_ = list_.empty() ? Phase::pass_end : Phase::flush;
          break;
        }
        current_ = &list_.pop_front();
        phase_ = Phase::polling;
        break;
      case Phase::polling:
        if (current_->poll(core) == Napi::Poll::waiting) return core.interrupt_due();
        finish_poll();
        // Checked after the poll, in jiffies (NA-11).
        if (budget_ <= 0 || jiffies(core.now()) >= time_limit_jiffies_) {
          ++stats_.time_squeeze;
          phase_ = Phase::pass_end;
        } else {
          phase_ = Phase::flush;
        }
        break;
      case Phase::pass_end:
        if (!core.may_step_ahead(EventClass::interrupt)) return false;
        finish_pass();
        if (!raised_) {
          active_ = false;
          return true;
        }
        // NA-30: again, unless two milliseconds or ten passes are over or a thread waits for the CPU.
        if (jiffies(core.now()) < end_jiffies_ && !core.need_resched() && --restarts_left_ != 0) {
          phase_ = Phase::pass_begin;
          break;
        }
        active_ = false;
        if (!from_ksoftirqd_) ++stats_.ksoftirqd_wakeups;
        core.wake_ksoftirqd();
        return true;
    }
  }
}

void Softirq::finish_poll() {
  ++stats_.polls;
  stats_.poll_work += current_->work();
  budget_ -= current_->work();
  // NA-10: who used the whole weight is not polled again in this pass.
  if (current_->work() >= Napi::weight) {
    ++stats_.poll_full;
    if (current_->scheduled) repoll_.push_back(*current_);
  }
  current_ = nullptr;
}

void Softirq::finish_pass() {
  list_.splice(poll_list_);
  list_.splice(repoll_);
  poll_list_.splice(list_);
  in_net_rx_action_ = false;
  if (!poll_list_.empty()) raised_ = true;
}

}  // namespace rxpool
