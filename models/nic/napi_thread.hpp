#pragma once
// Threaded NAPI (NA-40, NA-41): a kernel thread polls in softirq's place: no budget, no time limit, no list_owner, so
// that implicit page returns go to the ring (PP-22, SK-44).

#include "models/cpu/core.hpp"
#include "models/cpu/napi.hpp"

namespace rxpool {

class NapiThread final : public Task {
 public:
  NapiThread(Napi& napi, DeferredWork* deferred) : Task(Context::kthread), napi_(napi), deferred_(deferred) {}

  Outcome step(Core& core) override {
    if (!polling_) {
      if (!napi_.scheduled) return Outcome::sleeps;
      core.disable_bottom_halves();
      if (!deferred_->flush(core)) return Outcome::waiting;
      polling_ = true;
    }
    if (napi_.poll(core) == Napi::Poll::waiting) return Outcome::waiting;
    polling_ = false;
    return napi_.scheduled ? Outcome::ran : Outcome::sleeps;
  }

 private:
  Napi& napi_;
  DeferredWork* deferred_;
  bool polling_ = false;
};

}  // namespace rxpool
