#pragma once
// A pcap or pcapng file, read through libpcap once, before time starts: per frame its time, length, flow and the first
// 128 bytes, all in one arena (equal beginnings are kept once). Ethernet, and raw IP for which an Ethernet header is
// made up. Every way in which a capture cannot be replayed as it stands is an InputError of one line: file, frame,
// remedy.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/traffic/flow.hpp"
#include "sim/time.hpp"

namespace rxpool {

struct CapturedFrame {
  Time at;                        ///< since the first frame
  std::uint32_t flow = 0;         ///< index into Capture::flows
  std::uint32_t begins_at = 0;    ///< its first bytes in Capture::bytes
  std::uint16_t bytes = 0;        ///< how many of them
  std::uint16_t frame_bytes = 0;  ///< on the wire, padding and FCS included
  std::uint8_t ip_protocol = 0;   ///< 0 when not IP
  bool fragment = false;
};

struct Capture {
  /// Bytes kept of each frame: all headers, and the beginning of the payload for policies that look at it.
  static constexpr std::size_t kept_bytes = 128;

  std::vector<CapturedFrame> frames;  ///< at least one, in time order
  std::vector<FlowKey> flows;         ///< in order of appearance
  std::vector<std::uint8_t> bytes;

  std::span<const std::uint8_t> beginning(const CapturedFrame& frame) const {
    return {bytes.data() + frame.begins_at, frame.bytes};
  }
};

/// `cut_frames` accepts frames of which only the beginning was captured.
Capture read_capture(const std::string& path, bool cut_frames);

}  // namespace rxpool
