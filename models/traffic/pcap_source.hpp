#pragma once
// Replays a capture (models/traffic/capture.hpp): its frames at their times, stretched by time_scale, rate_scale copies
// of each, once or in a loop. A copy is a flow of its own: its number is added to the last 16 bits of the source
// address, and the checksums follow. The rate factor is the speed of the replay; 0 pauses it. The bytes beyond the 128
// that were kept are zeros; checksums are those of the capture.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "models/traffic/capture.hpp"
#include "models/traffic/params.hpp"
#include "models/traffic/rate_clock.hpp"
#include "models/traffic/source.hpp"

namespace rxpool {

class PcapSource final : public Source {
 public:
  /// Reads params.path. Throws InputError.
  PcapSource(std::string name, std::uint16_t index, const CaptureParams& params);
  /// Replays a capture that was read before (several replications share one).
  PcapSource(std::string name, std::uint16_t index, const CaptureParams& params,
             std::shared_ptr<const Capture> capture);

  std::size_t produce(std::span<Offer> out) override;
  void withdraw(std::size_t count) override;
  void set_rate_factor(Time at, double factor) override;

  std::uint32_t flow_count() const override;
  FlowKey flow_key(std::uint32_t flow) const override;
  FlowKey key(const Packet& packet) const override { return flow_key(packet.flow); }
  std::size_t headers(const Packet& packet, std::span<std::byte> out) const override;

 private:
  struct State {
    Time t;         ///< when the last frame was sent
    Time position;  ///< of the last frame in the capture, loops counted as capture_period_ each
    std::uint64_t loops = 0;
    std::size_t frame = 0;     ///< the next one
    double credit = 0;         ///< copies owed, below 1 between frames
    std::uint32_t copies = 0;  ///< of the last frame, sent so far; 0 = go on to the next
    std::uint32_t wanted = 0;  ///< of the last frame
  };

  bool next(Offer& offer);
  bool move_to(Time position);

  std::shared_ptr<const Capture> capture_;
  RateClock clock_;
  double time_scale_;
  double rate_scale_;
  bool loop_;
  Time period_;  ///< from one start of the capture to the next
  State state_;
  State produced_from_;
  std::size_t produced_ = 0;
};

}  // namespace rxpool
