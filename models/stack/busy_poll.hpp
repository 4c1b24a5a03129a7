#pragma once
// A reader that polls its socket's NAPI itself instead of sleeping (SO_BUSY_POLL, SO_PREFER_BUSY_POLL,
// SO_BUSY_POLL_BUDGET): sk_busy_loop. The NAPI is that of the last packet it read. One turn of the loop is one unit of
// the reader; while it owns the NAPI nobody else polls it and completing it is refused. Rules NA-45, NA-46, NA-48.
// Leaves out: several sockets behind one epoll, packets of several NAPIs in turn.

#include <cstdint>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/cpu/napi.hpp"

namespace rxpool {

class RxPages;

struct BusyPollParams {
  Time length;               ///< SO_BUSY_POLL
  bool prefer = false;       ///< SO_PREFER_BUSY_POLL
  std::uint32_t budget = 8;  ///< SO_BUSY_POLL_BUDGET, at most Napi::weight
};

class BusyPoll {
 public:
  /// A NAPI and the pages by which its packets are known.
  struct Source {
    const RxPages* pages;
    Napi* napi;
  };
  enum class Turn : std::uint8_t {
    waiting,  ///< stopped between two steps; the core has re-armed itself
    on,       ///< one turn is over
    over,     ///< there is a packet, or the time is up
  };

  BusyPoll(const BusyPollParams& params, std::vector<Source> sources) : params_(params), sources_(std::move(sources)) {}

  /// sk_mark_napi_id: the reader has taken a packet. Its interrupts may be kept off for longer (NA-48).
  void received(Core& core, const RxPages* pages);
  /// The socket is empty: is there a NAPI to poll?
  bool begin(Time now);
  /// One turn of the loop, or the rest of one; `readable` says whether the socket has a packet at an instant.
  template <typename Readable>
  Turn turn(Core& core, Readable&& readable) {
    if (phase_ == Phase::poll && !poll(core)) return Turn::waiting;
    if (phase_ == Phase::look) {
      over_ = readable(core.now()) || core.now() >= deadline_;
      phase_ = owns_ && (over_ || core.would_switch()) ? Phase::stop : Phase::done;
      if (phase_ == Phase::stop) release(core);
    }
    if (phase_ == Phase::stop && !last_poll(core)) return Turn::waiting;
    phase_ = Phase::poll;
    if (!over_) return Turn::on;
    if (!readable(core.now())) give_up(core);
    return Turn::over;
  }

  const std::uint64_t& packets() const { return packets_; }

 private:
  enum class Phase : std::uint8_t { poll, look, stop, done };
  bool poll(Core& core);
  bool run_poll(Core& core);
  void release(Core& core);
  bool last_poll(Core& core);
  void give_up(Core& core);

  BusyPollParams params_;
  std::vector<Source> sources_;
  Napi* napi_ = nullptr;  ///< sk_napi_id
  Time deadline_{0};
  Phase phase_ = Phase::poll;
  bool owns_ = false;
  bool polled_ = false;      ///< of this turn: only what others left to be freed is still to do
  bool in_unit_ = false;     ///< a turn has begun
  bool timer_runs_ = false;  ///< it polls again without an interrupt
  bool over_ = false;
  std::uint64_t packets_ = 0;  ///< BusyPollRxPackets
};

}  // namespace rxpool
