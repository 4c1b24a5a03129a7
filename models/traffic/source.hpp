#pragma once
// A source of packets: says, in time order and in blocks, when the sender hands which frame to the link; the wire
// (models/traffic/wire.hpp) serialises them. Frames are small records; header bytes and hash input are made only for
// whoever asks. Open-loop sources know their whole future; a responsive one (TCP) answers "nothing more known until T".
// A source may be asked to change its rate at an instant that was already produced but not yet taken: it withdraws.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "models/packet.hpp"
#include "models/traffic/flow.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// A frame handed to the link; becomes a Packet when its last bit has arrived.
struct Offer : Frame {
  Time at;  ///< instant at which the sender has it ready
};
static_assert(sizeof(Offer) == 24);

class Source {
 public:
  Source(std::string name, std::uint16_t index) : name_(std::move(name)), index_(index) {}
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const std::string& name() const { return name_; }
  /// Place among the scenario's sorted source names; ties in time go to the lower one.
  std::uint16_t index() const { return index_; }

  /// The next frames in time order. Fewer than asked for only if nothing more is known: see known_until().
  virtual std::size_t produce(std::span<Offer> out) = 0;
  /// Takes back the last `count` frames of the last produce(): the next produce() gives them again.
  virtual void withdraw(std::size_t count) = 0;
  /// After a short produce(): from this instant on the source cannot say yet. never() = it has finished.
  virtual Time known_until() const { return Time::never(); }
  /// Multiplies the scheduled rate from `at` on; 0 stops. Nothing at or after `at` may have been produced and kept.
  virtual void set_rate_factor(Time at, double factor) = 0;

  /// Flows are 0 … flow_count()-1; a key per flow serves every packet without packet_flag::own_key.
  virtual std::uint32_t flow_count() const = 0;
  virtual FlowKey flow_key(std::uint32_t flow) const = 0;
  virtual FlowKey key(const Packet& packet) const = 0;
  /// headers() of this packet is going to be asked for: fetches into this machine's cache what that takes.
  virtual void prefetch(const Packet& /*packet*/) const {}
  /// Writes the frame's first bytes, Ethernet first, at most out.size(); returns how many are known. Bytes of the frame
  /// beyond them, up to frame_bytes - 4 (the FCS is not part of it), are zero, and the checksums hold for that payload.
  virtual std::size_t headers(const Packet& packet, std::span<std::byte> out) const = 0;

 private:
  std::string name_;
  std::uint16_t index_;
};

}  // namespace rxpool
