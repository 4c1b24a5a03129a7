#include "models/traffic/tcp/sender.hpp"

#include <algorithm>
#include <utility>

namespace rxpool {
namespace {

constexpr std::uint64_t packet_threshold = 3;
constexpr Time initial_rto = seconds(1);
constexpr Time least_rto_variation = milliseconds(200);  // TCP_RTO_MIN
constexpr Time most_rto = seconds(120);                  // TCP_RTO_MAX
constexpr std::size_t initial_ring = 64;

Time distance(Time a, Time b) {
  return a > b ? a - b : b - a;
}

}  // namespace

TcpSender::TcpSender(std::unique_ptr<CongestionControl> control, std::uint64_t window, TcpSenderStats& stats)
    : control_(std::move(control)), segments_(initial_ring), window_end_(window), rto_(initial_rto), stats_(stats) {}

void TcpSender::grow() {
  std::vector<Segment> larger(segments_.size() * 2);
  for (std::uint64_t number = una_; number < next_; ++number) {
    larger[number & (larger.size() - 1)] = segment(number);
  }
  segments_.swap(larger);
}

// ---- Acknowledgements.

void TcpSender::acknowledge(Time now, const TcpAck& ack) {
  AckSample sample;
  sample.now = now;
  const std::uint64_t una_before = una_;
  for (std::uint64_t number = una_; number < ack.next; ++number) arrived(now, number, sample);
  for (std::uint64_t number = std::max(ack.sacked_from, ack.next); number < ack.sacked_to; ++number) {
    arrived(now, number, sample);
  }
  una_ = std::max(una_, ack.next);
  window_end_ = std::max(window_end_, ack.window_end);
  find_losses(sample);
  finish_sample(sample);
  sample.ece = ack.ece;
  if (recovery_ != Recovery::none && una_ >= recovery_ends_) {
    recovery_ = Recovery::none;
    control_->recovered();
  }
  if (sample.lost > 0) congestion(now);
  sample.in_recovery = recovery_ == Recovery::losses;
  control_->acked(sample);
  if (una_ != una_before) start_timer(now);
}

/// Books the arrival of a segment that is under way; nothing if it was known.
void TcpSender::arrived(Time now, std::uint64_t number, AckSample& sample) {
  Segment& one = segment(number);
  if (one.arrived) return;
  one.arrived = true;
  if (!one.lost) --in_flight_;
  one.lost = false;
  ++sample.acked;
  ++delivered_;
  ++stats_.delivered;
  delivered_at_ = now;
  newest_arrived_ = std::max(newest_arrived_, one.transmission);
  if (!one.again) sample.rtt = now - one.sent;
  // The newest of them gives the delivery rate (draft-cheng-iccrg-delivery-rate-estimation).
  if (sample.interval.ps != 0 && one.delivered < sample.prior_delivered) return;
  sample.prior_delivered = one.delivered;
  sample.app_limited = one.app_limited;
  sample.interval = std::max({one.sent - one.first_sent, now - one.delivered_at, picoseconds(1)});
  first_sent_ = one.sent;
}

void TcpSender::find_losses(AckSample& sample) {
  while (!order_.empty()) {
    const Transmission& oldest = order_.front();
    const bool here = oldest.number >= una_;
    const bool open = here && segment(oldest.number).transmission == oldest.transmission &&
                      !segment(oldest.number).arrived && !segment(oldest.number).lost;
    if (open) {
      if (oldest.transmission + packet_threshold > newest_arrived_) break;
      lose(oldest.number);
      ++sample.lost;
    }
    order_.pop_front();
  }
}

void TcpSender::lose(std::uint64_t number) {
  segment(number).lost = true;
  --in_flight_;
  lost_.push_back(number);
}

void TcpSender::finish_sample(AckSample& sample) {
  sample.delivered = delivered_;
  sample.una = una_;
  sample.next = next_;
  sample.in_flight = in_flight_;
  sample.window_limited = std::exchange(window_limited_, false);
  // A sample over less than the smallest round trip is an artefact of retransmissions.
  if (min_rtt_ != Time::never() && sample.interval < min_rtt_) sample.interval = Time{0};
  if (sample.rtt != Time::never()) measure_rtt(sample.rtt);
  sample.min_rtt = min_rtt_;
}

/// RFC 6298, in whole picoseconds.
void TcpSender::measure_rtt(Time rtt) {
  min_rtt_ = std::min(min_rtt_, rtt);
  if (srtt_.ps == 0) {
    srtt_ = rtt;
    rttvar_ = rtt / 2;
  } else {
    rttvar_ = rttvar_ + (distance(srtt_, rtt) - rttvar_) / 4;
    srtt_ = srtt_ + (rtt - srtt_) / 8;
  }
  rto_ = std::min(srtt_ + std::max(rttvar_ * 4, least_rto_variation), most_rto);
}

void TcpSender::congestion(Time now) {
  if (recovery_ != Recovery::none) return;
  recovery_ = Recovery::losses;
  recovery_ends_ = next_;
  ++stats_.reductions;
  control_->congestion(now, in_flight_);
}

// ---- Timer.

void TcpSender::start_timer(Time now) {
  timeout_at_ = una_ == next_ ? Time::never() : now + rto_;
}

void TcpSender::timed_out(Time now) {
  ++stats_.timeouts;
  lost_.clear();
  for (std::uint64_t number = una_; number < next_; ++number) {
    Segment& one = segment(number);
    if (one.arrived) continue;
    if (one.lost) {
      lost_.push_back(number);
    } else {
      lose(number);
    }
  }
  control_->timeout(now);
  recovery_ = Recovery::timeout;
  recovery_ends_ = next_;
  rto_ = std::min(rto_ * 2, most_rto);
  start_timer(now);
}

// ---- Sending.

bool TcpSender::next_lost(std::uint64_t& number) {
  while (!lost_.empty()) {
    number = lost_.front();
    if (number >= una_ && segment(number).lost) return true;
    lost_.pop_front();
  }
  return false;
}

bool TcpSender::may_send() {
  std::uint64_t number = 0;
  const bool again = next_lost(number);
  if (!again && next_ == offered_) {
    // The samples until then measure the application.
    app_limited_until_ = delivered_ + in_flight_;
    return false;
  }
  if (in_flight_ >= static_cast<std::uint32_t>(std::max(control_->window(), 1.0))) {
    window_limited_ = true;
    return false;
  }
  return again || next_ < window_end_;
}

std::uint64_t TcpSender::send(Time now) {
  std::uint64_t number = next_;
  if (next_lost(number)) {
    lost_.pop_front();
    ++stats_.retransmissions;
  } else {
    if (next_ - una_ == segments_.size()) grow();
    segment(next_) = Segment{};
    ++next_;
  }
  Segment& one = segment(number);
  one.again = one.transmission != 0;
  one.lost = false;
  one.transmission = ++transmissions_;
  if (in_flight_ == 0) first_sent_ = delivered_at_ = now;
  one.sent = now;
  one.delivered = delivered_;
  one.delivered_at = delivered_at_;
  one.first_sent = first_sent_;
  one.app_limited = app_limited_until_ > delivered_;
  order_.push_back({one.transmission, number});
  ++in_flight_;
  ++stats_.segments;
  if (timeout_at_ == Time::never()) start_timer(now);
  return number;
}

}  // namespace rxpool
