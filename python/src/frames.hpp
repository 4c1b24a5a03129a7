#pragma once
// The frames of a capture, whole, for running a policy on them one by one (models/traffic/capture.hpp keeps beginnings
// only). Ethernet alone: a policy sees the frame as the wire had it.

#include <cstdint>
#include <string>
#include <vector>

namespace rxpool::python {

struct Frame {
  std::int64_t time_ns = 0;  // since the first frame
  std::uint32_t wire_bytes = 0;
  std::vector<std::uint8_t> bytes;  // as many as were captured
};

/// Throws InputError with one line: file, frame, remedy.
std::vector<Frame> read_frames(const std::string& path);

}  // namespace rxpool::python
