#include "models/traffic/pcap_source.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "models/traffic/frame_parser.hpp"
#include "models/traffic/headers.hpp"
#include "sim/error.hpp"

namespace rxpool {

namespace {

const CaptureParams& validated(const CaptureParams& params, const std::string& name) {
  params.validate(name);
  return params;
}

std::shared_ptr<const Capture> read_valid(const CaptureParams& params, const std::string& name) {
  validated(params, name);
  return std::make_shared<const Capture>(read_capture(params.path, params.cut_frames));
}

constexpr int copy_shift = 40;  ///< Packet::variant: frame of the capture below, number of the copy above

/// Adds `copy` to the 16 bits at `at` and returns what a checksum over them has to be adjusted by.
std::uint32_t add_to_address(std::uint8_t* at, std::uint32_t copy) {
  const std::uint32_t before = static_cast<std::uint32_t>(at[0] << 8 | at[1]);
  const std::uint32_t after = (before + copy) & 0xffff;
  at[0] = static_cast<std::uint8_t>(after >> 8);
  at[1] = static_cast<std::uint8_t>(after);
  return (~before & 0xffff) + after;
}

/// RFC 1624: HC' = ~(~HC + ~m + m').
void adjust_checksum(std::uint8_t* at, std::uint32_t change) {
  const std::uint32_t before = static_cast<std::uint32_t>(at[0] << 8 | at[1]);
  const std::uint16_t after = checksum_finish((~before & 0xffff) + change);
  at[0] = static_cast<std::uint8_t>(after >> 8);
  at[1] = static_cast<std::uint8_t>(after);
}

}  // namespace

PcapSource::PcapSource(std::string name, std::uint16_t index, const CaptureParams& params)
    : PcapSource(name, index, params, read_valid(params, name)) {}

PcapSource::PcapSource(std::string name, std::uint16_t index, const CaptureParams& params,
                       std::shared_ptr<const Capture> capture)
    : Source(std::move(name), index),
      capture_(std::move(capture)),
      clock_(time_of_ms(validated(params, this->name()).start_ms), time_of_ms(params.stop_ms), params.schedule),
      time_scale_(params.time_scale),
      rate_scale_(params.rate_scale),
      loop_(params.loop) {
  // One mean gap between the last frame and the first of the next loop; 1 ms if the capture has no gap.
  const std::vector<CapturedFrame>& frames = capture_->frames;
  const Time length = frames.back().at;
  const Time gap = length > Time{0} ? length / static_cast<std::int64_t>(frames.size() - 1) : milliseconds(1);
  period_ = length + std::max(gap, Time{1});
}

std::size_t PcapSource::produce(std::span<Offer> out) {
  produced_from_ = state_;
  produced_ = 0;
  while (produced_ < out.size() && next(out[produced_])) {
    ++produced_;
  }
  return produced_;
}

void PcapSource::withdraw(std::size_t count) {
  ensure(count <= produced_, "more frames withdrawn than were produced");
  state_ = produced_from_;
  produced_ -= count;
  Offer again;
  for (std::size_t i = 0; i < produced_; ++i) {
    next(again);
  }
}

void PcapSource::set_rate_factor(Time at, double factor) {
  clock_.set_factor(at, factor);
}

bool PcapSource::next(Offer& offer) {
  const State before = state_;
  while (state_.copies == state_.wanted) {
    if (state_.frame == capture_->frames.size()) {
      if (!loop_) {
        state_ = before;
        return false;
      }
      state_.frame = 0;
      ++state_.loops;
    }
    const Time position = capture_->frames[state_.frame].at + period_ * static_cast<std::int64_t>(state_.loops);
    if (!move_to(position)) {
      state_ = before;
      return false;
    }
    ++state_.frame;
    state_.credit += rate_scale_;
    state_.wanted = static_cast<std::uint32_t>(state_.credit);
    state_.credit -= state_.wanted;
    state_.copies = 0;
  }
  const std::size_t index = state_.frame - 1;
  const CapturedFrame& frame = capture_->frames[index];
  const std::uint32_t copy = state_.copies++;
  offer.at = state_.t;
  offer.variant = index | std::uint64_t{copy} << copy_shift;
  offer.flow = frame.flow + copy * static_cast<std::uint32_t>(capture_->flows.size());
  offer.frame_bytes = frame.frame_bytes;
  offer.ip_protocol = frame.ip_protocol;
  offer.flags = frame.fragment ? packet_flag::fragment : std::uint8_t{0};
  return true;
}

/// Lets time pass until the replay has come to this position of the capture. False if it never does.
bool PcapSource::move_to(Time position) {
  double demand = static_cast<double>((position - state_.position).ps) * time_scale_;
  Time t = state_.t;
  std::size_t piece = clock_.piece_at(t);
  for (;;) {
    if (clock_.ends_at(piece) || t >= time_limit()) {
      return false;
    }
    if (clock_.advance(piece, t, demand, 1.0, Time::never())) {
      state_.t = t;
      state_.position = position;
      return true;
    }
    if (t == Time::never()) {
      return false;
    }
    ++piece;
  }
}

std::uint32_t PcapSource::flow_count() const {
  return static_cast<std::uint32_t>(capture_->flows.size()) * static_cast<std::uint32_t>(std::ceil(rate_scale_));
}

FlowKey PcapSource::flow_key(std::uint32_t flow) const {
  const auto flows = static_cast<std::uint32_t>(capture_->flows.size());
  FlowKey key = capture_->flows[flow % flows];
  const std::uint32_t copy = flow / flows;
  if (copy > 0 && key.ip_version != 0) {
    add_to_address(key.bytes.data() + key.address_bytes() / 2 - 2, copy);
  }
  return key;
}

std::size_t PcapSource::headers(const Packet& packet, std::span<std::byte> out) const {
  const CapturedFrame& frame = capture_->frames[packet.variant & ((std::uint64_t{1} << copy_shift) - 1)];
  const auto copy = static_cast<std::uint32_t>(packet.variant >> copy_shift);
  const auto captured = capture_->beginning(frame);
  const std::size_t length = std::min(out.size(), captured.size());
  if (copy == 0) {
    std::memcpy(out.data(), captured.data(), length);
    return length;
  }
  std::array<std::uint8_t, Capture::kept_bytes> bytes{};
  std::copy(captured.begin(), captured.end(), bytes.begin());
  const ParsedFrame parsed = parse_frame(captured);
  if (parsed.key.ip_version != 0) {
    const bool ipv6 = parsed.key.ip_version == 6;
    const std::uint32_t change = add_to_address(bytes.data() + parsed.ip_at + (ipv6 ? 22 : 14), copy);
    if (!ipv6) {
      adjust_checksum(bytes.data() + parsed.ip_at + 10, change);
    }
    if (parsed.transport_at != 0) {
      const bool udp = parsed.key.protocol == protocol_udp;
      std::uint8_t* const checksum = bytes.data() + parsed.transport_at + (udp ? 6 : 16);
      if (!udp || checksum[0] != 0 || checksum[1] != 0) {  // UDP: 0 = no checksum
        adjust_checksum(checksum, change);
      }
    }
  }
  std::memcpy(out.data(), bytes.data(), length);
  return length;
}

}  // namespace rxpool
