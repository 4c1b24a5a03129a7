#pragma once
// Time of the reference engine: one queue of all pending events of the host, ordered by (time, class, component id),
// and the Job, a coroutine that stops wherever the model says that something else may happen first. No batches, no
// running ahead: what happens next in the host is what stands first in this queue.

#include <coroutine>
#include <cstdint>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include "sim/event.hpp"
#include "sim/time.hpp"

namespace rxpool::reference {

class EventQueue {
 public:
  /// Time, class, component, and a number that keeps several events of one component apart.
  using Key = std::tuple<Time, EventClass, std::uint32_t, std::uint64_t>;

  Key at(Time time, EventClass event_class, std::uint32_t component, std::function<void()> action) {
    const Key key{time, event_class, component, ++sequence_};
    pending_.emplace(key, std::move(action));
    return key;
  }
  void cancel(const Key& key) { pending_.erase(key); }
  Time now() const { return now_; }
  std::uint64_t fired() const { return fired_; }

  /// Everything up to and including `until`.
  void run(Time until) {
    while (!pending_.empty() && std::get<Time>(pending_.begin()->first) <= until) {
      now_ = std::get<Time>(pending_.begin()->first);
      const std::function<void()> action = std::move(pending_.begin()->second);
      pending_.erase(pending_.begin());
      ++fired_;
      action();
    }
    now_ = until;
  }

 private:
  std::map<Key, std::function<void()>> pending_;
  Time now_{0};
  std::uint64_t sequence_ = 0;
  std::uint64_t fired_ = 0;
};

/// Runs when awaited; then whoever awaited it goes on. An exception leaves through the event that resumed it.
class [[nodiscard]] Job {
 public:
  struct promise_type {
    std::coroutine_handle<> awaited_by = std::noop_coroutine();
    Job get_return_object() { return Job(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct GoBack {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) noexcept {
          return done.promise().awaited_by;
        }
        void await_resume() noexcept {}
      };
      return GoBack{};
    }
    void return_void() {}
    void unhandled_exception() { throw; }
  };

  Job() = default;
  explicit Job(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Job(Job&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Job& operator=(Job&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Job() {
    if (handle_) handle_.destroy();
  }

  /// Runs it up to its first stop, without anybody waiting for it.
  void start() { handle_.resume(); }
  bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) {
    handle_.promise().awaited_by = waiting;
    return handle_;
  }
  void await_resume() {}

 private:
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace rxpool::reference
