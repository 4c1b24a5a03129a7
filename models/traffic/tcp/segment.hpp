#pragma once
// What a TCP segment and its acknowledgement say, as far as the models read it. Data comes in whole segments, numbered
// from 0 on each connection; an acknowledgement names the next one expected, the block that has just grown beyond it
// (its newest SACK block) and the end of the window. Connections are numbered over all TCP sources of a host.

#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

/// Travels in Frame::variant of frames with packet_flag::segment.
struct TcpSegment {
  std::uint64_t number = 0;      ///< below 2^36
  std::uint32_t connection = 0;  ///< below 2^24
  bool ce = false;               ///< congestion experienced: marked on the way

  static constexpr int number_bits = 36;
  static constexpr int connection_bits = 24;

  constexpr std::uint64_t packed() const {
    return number | std::uint64_t{connection} << number_bits | std::uint64_t{ce} << (number_bits + connection_bits);
  }
  static constexpr TcpSegment unpacked(std::uint64_t variant) {
    TcpSegment segment;
    segment.number = variant & ((std::uint64_t{1} << number_bits) - 1);
    segment.connection = static_cast<std::uint32_t>(variant >> number_bits) & ((1u << connection_bits) - 1);
    segment.ce = (variant >> (number_bits + connection_bits) & 1) != 0;
    return segment;
  }
};

struct TcpAck {
  std::uint32_t connection = 0;
  std::uint64_t next = 0;         ///< all segments before it have arrived
  std::uint64_t sacked_from = 0;  ///< block beyond `next` that holds the segment just received; empty when equal
  std::uint64_t sacked_to = 0;
  std::uint64_t window_end = 0;  ///< first segment that the receiver has no room for
  bool ece = false;              ///< the segments it acknowledges were marked
};

/// Where the host's acknowledgements go.
class TcpPeer {
 public:
  virtual ~TcpPeer() = default;
  /// An acknowledgement leaves the host at `sent`. In any order, but never before what the host has said to be its
  /// front (TcpSource::set_front).
  virtual void acknowledge(Time sent, const TcpAck& ack) = 0;
};

}  // namespace rxpool
