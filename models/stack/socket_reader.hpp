#pragma once
// An application that reads one socket: recvmsg or recvmmsg in a loop, with work per packet, a rate it does not
// exceed and times at which it does not read. It blocks when the socket is empty and is woken by the next packet. Two
// steps per message: taking it off the socket and copying it; freeing it, the work on it and the next system call.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "models/cpu/application.hpp"
#include "models/cpu/core.hpp"
#include "models/cpu/sleep_timer.hpp"
#include "models/journal.hpp"
#include "models/stack/busy_poll.hpp"
#include "models/stack/skb_free.hpp"
#include "models/stack/socket.hpp"

namespace rxpool {

struct SocketReaderParams {
  /// Pages that it loses.
  struct Leak {
    double share;  ///< of the messages
    Time start;
    RandomStream draws;
  };
  std::uint32_t batch = 1;  ///< messages per system call
  Time interval;            ///< shortest time between two reads; 0: as fast as it can
  ApplicationParams application;
  std::optional<Leak> leak;
};

class SocketReader final : public Task {
 public:
  SocketReader(SocketReaderParams params, Socket& socket, SkbSlab& slab, SkbFree& free, Journal& journal);

  void attach(Core& core);
  Outcome step(Core& core) override;
  Time unnoticed_until(const Core& core) const override;
  /// A timed change; takes effect at its next read.
  void set_paused(Core& core, bool paused);
  /// Before time starts: it polls before it sleeps.
  void set_busy_poll(std::unique_ptr<BusyPoll> busy_poll) { busy_poll_ = std::move(busy_poll); }
  const BusyPoll* busy_poll() const { return busy_poll_.get(); }
  /// A packet was queued while it waited for one.
  bool waits_for_packet() const { return waits_for_packet_; }
  /// The skb it has copied and not yet freed.
  std::optional<SkbId> message_in_hand() const {
    return phase_ == Phase::free ? std::optional(message_) : std::nullopt;
  }
  void packet_arrived() { waits_for_packet_ = false; }
  /// skbs that will never be freed.
  std::span<const SkbId> leaked() const { return leaked_; }

 private:
  enum class Phase : std::uint8_t { call, receive, busy_poll, free };
  /// Enters recvmsg unless it has to wait; then it returns until when.
  Time enter_call(Core& core);
  bool draws_leak(Time now);
  Outcome sleep_until(Core& core, Time at);
  Outcome wait_for_packet(Core& core);
  Outcome poll_for_packet(Core& core);

  std::uint32_t batch_;
  Time interval_;
  Application application_;
  std::optional<SocketReaderParams::Leak> leak_;
  Socket& socket_;
  SkbSlab& slab_;
  SkbFree& free_;
  Journal& journal_;
  SleepTimer timer_;
  Phase phase_ = Phase::call;
  std::uint32_t received_ = 0;
  SkbId message_ = 0;
  Time next_read_{0};
  bool waits_for_packet_ = false;
  std::unique_ptr<BusyPoll> busy_poll_;  ///< null: it sleeps at once
  bool has_polled_ = false;              ///< since it last found a packet
  bool leaks_message_ = false;           ///< the one in hand
  std::vector<SkbId> leaked_;
};

}  // namespace rxpool
