#pragma once
// The application of an AF_XDP socket, as xdpsock's rxdrop: takes a batch off the RX ring, works on each packet, gives
// the frames back through the FILL ring, and sleeps in poll(2) when there is nothing to take. Before it sleeps it wakes
// a driver that waits for frames (XD-63). Steps: taking a batch; one packet; giving the batch back. While it pauses it
// keeps the batch at hand. Its own cache misses are part of its work.

#include <cstdint>
#include <utility>
#include <vector>

#include "models/cpu/application.hpp"
#include "models/cpu/core.hpp"
#include "models/cpu/sleep_timer.hpp"
#include "models/journal.hpp"
#include "models/xdp/xsk.hpp"
#include "sim/histogram.hpp"

namespace rxpool {

struct XskApplicationStats {
  std::uint64_t delivered = 0;  ///< packets that it has worked on
  std::uint64_t polls = 0;      ///< poll(2)
};

class XskApplication final : public Task, public Xsk::Reader {
 public:
  XskApplication(std::uint32_t batch, ApplicationParams application, Xsk& xsk, Journal& journal);

  void attach(Core& core);
  Outcome step(Core& core) override;
  /// A timed change; takes effect before its next packet.
  void set_paused(Core& core, bool paused);
  bool data_ready() override { return std::exchange(waits_for_packet_, false); }
  Task& task() override { return *this; }

  /// Packets that it has taken and not worked on; frames in its hands.
  std::uint32_t waiting() const { return static_cast<std::uint32_t>(batch_.size()) - done_; }
  std::uint32_t frames() const { return static_cast<std::uint32_t>(batch_.size()) + xsk_.spare(); }
  const XskApplicationStats& stats() const { return stats_; }
  Histogram& latency() { return latency_; }

 private:
  enum class Phase : std::uint8_t { take, work, give_back };
  Outcome take(Core& core);
  Outcome block(Core& core);
  void work(Core& core);
  void give_back(Core& core);
  Outcome sleep_until(Core& core, Time at);

  std::uint32_t batch_most_;
  Application application_;
  Xsk& xsk_;
  Journal& journal_;
  SleepTimer timer_;
  Phase phase_ = Phase::take;
  std::vector<Xsk::Descriptor> batch_;
  std::uint32_t done_ = 0;  ///< of the batch
  bool waits_for_packet_ = false;
  XskApplicationStats stats_;
  Histogram latency_;
};

}  // namespace rxpool
