#pragma once
// What the softirq, or a NAPI thread, polls. The state bits are the kernel's (NA-1, NA-2); poll() is the driver's and
// resumable: it works step by step on the core's clock and returns early when the core must wait for others.

#include <cstdint>
#include <string>

namespace rxpool {

class Core;
class Task;

class Napi {
 public:
  static constexpr std::uint32_t weight = 64;  ///< NAPI_POLL_WEIGHT

  enum class Poll : std::uint8_t {
    waiting,   ///< stopped between two steps; the core has re-armed itself
    finished,  ///< one poll is over; see work() and scheduled
  };

  virtual ~Napi() = default;
  /// Runs one poll from the core's clock on, or the rest of one.
  virtual Poll poll(Core& core) = 0;
  /// Work of the poll that just finished; weight means "poll me again".
  std::uint32_t work() const { return work_; }
  /// Packets of that poll.
  virtual std::uint32_t packets() const { return work_; }

  // What a reader that polls it may ask for (NA-46, NA-48); nothing where the device has no timer for it.
  /// Keeps its interrupt off for gro_flush_timeout; false: not set up.
  virtual bool defer_interrupts(Core&) { return false; }
  /// Keeps it off for irq_suspend_timeout from now on, if that is set.
  virtual void suspend_interrupts(Core&) {}
  /// The end of that: it is polled at once.
  virtual void resume_interrupts(Core&) {}

  bool scheduled = false;         ///< NAPI_STATE_SCHED
  bool in_busy_poll = false;      ///< NAPI_STATE_IN_BUSY_POLL: completing it is refused
  std::uint32_t budget = weight;  ///< most work of the next poll
  bool missed = false;            ///< NAPI_STATE_MISSED: an interrupt came while scheduled
  int list_owner = -1;            ///< CPU whose poll_list it is on (PP-22)
  Task* thread = nullptr;         ///< threaded NAPI (NA-40)
  Napi* next = nullptr;           ///< link of the list it is on

 protected:
  std::uint32_t work_ = 0;
};

/// Singly linked FIFO of NAPIs, as poll_list.
class NapiList {
 public:
  bool empty() const { return head_ == nullptr; }
  void push_back(Napi& napi) {
    napi.next = nullptr;
    if (head_ == nullptr) {
      head_ = &napi;
    } else {
      tail_->next = &napi;
    }
    tail_ = &napi;
  }
  Napi& pop_front() {
    Napi& napi = *head_;
    head_ = napi.next;
    napi.next = nullptr;
    return napi;
  }
  /// Appends all of `other`, which is then empty.
  void splice(NapiList& other) {
    if (other.head_ == nullptr) return;
    if (head_ == nullptr) {
      head_ = other.head_;
    } else {
      tail_->next = other.head_;
    }
    tail_ = other.tail_;
    other.head_ = nullptr;
  }

 private:
  Napi* head_ = nullptr;
  Napi* tail_ = nullptr;
};

}  // namespace rxpool
