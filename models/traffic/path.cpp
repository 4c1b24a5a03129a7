#include "models/traffic/path.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace rxpool {
namespace {

__extension__ using WideBits = __int128;

constexpr std::int64_t ps_bits_at_1_kbps = 1'000'000'000;  ///< one bit at 1 kbit/s lasts 1e9 ps

std::int64_t bytes_of_kib(double kib) {
  return std::llround(kib * 1024);
}

}  // namespace

Path::Path(const PathParams& params, std::uint64_t seed, std::uint32_t replication, std::string_view name)
    : kbps_(std::llround(params.rate_gbps * 1e6)),
      forward_{std::llround(params.rtt_us * 0.5e6)},
      backward_(forward_),
      queue_bytes_(params.queue_kib > 0 ? bytes_of_kib(params.queue_kib)
                                        : std::llround(params.rate_gbps * 125 * params.rtt_us)),
      threshold_bytes_(params.ecn_threshold_kib > 0 ? bytes_of_kib(params.ecn_threshold_kib)
                                                    : std::numeric_limits<std::int64_t>::max()),
      loss_(params.loss),
      random_(seed, replication, std::string(name) + "/loss") {}

Time Path::service(std::int64_t bytes) const {
  return Time{static_cast<std::int64_t>(WideBits{bytes} * 8 * ps_bits_at_1_kbps / kbps_)};
}

std::int64_t Path::backlog_bytes(Time now) const {
  if (free_ <= now) return 0;
  return static_cast<std::int64_t>(WideBits{(free_ - now).ps} * kbps_ / (8 * ps_bits_at_1_kbps));
}

Path::Passage Path::pass(Time sent, std::uint32_t frame_bytes, bool ecn_capable) {
  ++stats_.packets;
  // The draw comes first and always: whether the queue is full must not move the other packets' numbers.
  if (loss_ > 0 && random_.next_unit() < loss_) {
    ++stats_.lost;
    return {Time::never()};
  }
  const std::int64_t backlog = backlog_bytes(sent);
  // A packet that finds nothing waiting is served however short the queue is.
  if (backlog > 0 && backlog + frame_bytes > queue_bytes_) {
    ++stats_.overflow;
    return {Time::never()};
  }
  const bool marked = ecn_capable && backlog > threshold_bytes_;
  stats_.marked += marked ? 1 : 0;
  free_ = std::max(free_, sent) + service(frame_bytes);
  return {free_ + forward_, marked};
}

Time Path::earliest_arrival(Time sent) const {
  // After what has been sent, because the server takes time for every packet.
  return std::max(free_, sent) + forward_ + picoseconds(1);
}

}  // namespace rxpool
