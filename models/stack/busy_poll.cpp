#include "models/stack/busy_poll.hpp"

#include <algorithm>

#include "models/cpu/softirq.hpp"

namespace rxpool {

void BusyPoll::received(Core& core, const RxPages* pages) {
  const auto source =
      std::find_if(sources_.begin(), sources_.end(), [&](const Source& one) { return one.pages == pages; });
  if (source == sources_.end()) return;
  napi_ = source->napi;
  if (params_.prefer) napi_->suspend_interrupts(core);
}

bool BusyPoll::begin(Time now) {
  if (napi_ == nullptr) return false;
  deadline_ = now + params_.length;
  return true;
}

/// Polls if it has the NAPI or gets it. False: waiting.
bool BusyPoll::poll(Core& core) {
  if (!in_unit_) {
    core.disable_bottom_halves();
    in_unit_ = true;
    polled_ = false;
    if (!owns_ && !napi_->scheduled) {
      owns_ = napi_->scheduled = napi_->in_busy_poll = true;
    }
    if (!owns_) core.charge(Step::llc_hit);  // the state that its owner wrote
  }
  if (owns_ && !polled_ && !run_poll(core)) return false;
  polled_ = true;
  if (!core.softirq().deferred()->flush(core)) return false;
  in_unit_ = false;
  phase_ = Phase::look;
  return true;
}

bool BusyPoll::run_poll(Core& core) {
  napi_->budget = params_.budget;
  if (napi_->poll(core) == Napi::Poll::waiting) return false;
  napi_->budget = Napi::weight;
  packets_ += napi_->packets();
  return true;
}

/// busy_poll_stop up to its own poll, after which the NAPI is nobody's unless it used its budget.
void BusyPoll::release(Core& core) {
  napi_->missed = napi_->in_busy_poll = false;
  timer_runs_ = params_.prefer && napi_->defer_interrupts(core);
}

bool BusyPoll::last_poll(Core& core) {
  if (!run_poll(core)) return false;
  owns_ = false;
  if (napi_->work() < params_.budget) return true;
  napi_->scheduled = false;
  if (!timer_runs_) core.napi_schedule(*napi_);
  return true;
}

/// The time is up without a packet: interrupts that were kept off are asked for again.
void BusyPoll::give_up(Core& core) {
  if (params_.prefer) napi_->resume_interrupts(core);
}

}  // namespace rxpool
