#include "models/stack/tcp_connection.hpp"

#include <algorithm>

namespace rxpool {
namespace {

constexpr std::uint32_t default_scaling_ratio = 128;  // TCP_DEFAULT_SCALING_RATIO: half of it is payload
constexpr std::uint64_t largest_first_window = 65535;
constexpr std::uint32_t most_quick_acks = 16;  // TCP_MAX_QUICKACKS
constexpr std::uint64_t initial_copied_segments = 10;

}  // namespace

TcpConnection::TcpConnection(const TcpConnectionParams& params, TcpMemory& memory)
    : params_(params),
      memory_(memory),
      rcvbuf_(params.rcvbuf),
      scaling_ratio_(default_scaling_ratio),
      ssthresh_(std::min(window_of_space(rcvbuf_), largest_first_window)),
      window_end_(ssthresh_ / params.segment_bytes),
      quick_acks_(most_quick_acks),
      space_(initial_copied_segments * params.segment_bytes) {
  beyond_.reserve(16);
}

// ---- Arrival.

bool TcpConnection::waits(std::uint64_t number) const {
  return std::any_of(beyond_.begin(), beyond_.end(),
                     [number](const Block& block) { return block.from <= number && number < block.to; });
}

TcpConnection::Arrival TcpConnection::judge(std::uint64_t number) const {
  if (number < next_ || waits(number)) return Arrival::old;
  // An empty socket takes the next segment whatever it costs (sk_forced_mem_schedule).
  const bool forced = number == next_ && rmem_ == 0;
  if (!forced && rmem_ > rcvbuf_) return Arrival::no_buffer;
  if (!forced && memory_.pages() >= memory_.most) return Arrival::no_tcp_memory;
  if (!forced && params_.cgroup != nullptr && !params_.cgroup->has_room(1)) return Arrival::no_tcp_memory;
  return number == next_ ? Arrival::in_order : Arrival::beyond;
}

TcpConnection::Arrival TcpConnection::receive(Time now, const TcpSegment& segment, std::uint32_t truesize) {
  const Arrival arrival = judge(segment.number);
  if (segment.ce != ce_) {
    // RFC 8257, 3.2: what came before the change is acknowledged without it.
    if (next_ != acked_) acknowledge();
    ce_ = segment.ce;
  }
  if (arrival != Arrival::in_order && arrival != Arrival::beyond) {
    if (arrival == Arrival::no_tcp_memory && params_.cgroup != nullptr && !params_.cgroup->has_room(1)) {
      ++params_.cgroup->max_events;
    }
    acknowledge();  // a duplicate says what is missing, or that there is no room
    return arrival;
  }
  if (rmem_ == 0 && read_ == 0) {
    // tcp_measure_rcv_mss: how much of a buffer is payload.
    scaling_ratio_ = std::clamp<std::uint32_t>((params_.segment_bytes << 8) / truesize, 1, 255);
  }
  rmem_ += truesize;
  memory_.bytes += truesize;
  charge_group(rmem_ - truesize);
  if (arrival == Arrival::beyond) {
    acknowledge(keep(segment.number));
    return arrival;
  }
  ++next_;
  const bool filled_gap = !beyond_.empty();
  advance();
  measure_rtt(now);
  grow_window();
  const bool quick = quick_acks_ != 0 || filled_gap;
  if (quick || next_ - acked_ >= 2) acknowledge();
  return arrival;
}

/// Whole pages per connection (sk_mem_pages); what is forced goes beyond memory.max (__GFP_NOFAIL).
void TcpConnection::charge_group(std::uint32_t before) {
  if (params_.cgroup == nullptr) return;
  const auto pages = [](std::uint32_t bytes) { return (std::uint64_t{bytes} + 4095) / 4096; };
  params_.cgroup->pages += pages(rmem_) - pages(before);
}

/// Adds a segment beyond the gap; the block that holds it now.
TcpConnection::Block TcpConnection::keep(std::uint64_t number) {
  auto after = std::find_if(beyond_.begin(), beyond_.end(), [number](const Block& b) { return b.from > number; });
  const bool joins_after = after != beyond_.end() && after->from == number + 1;
  const bool joins_before = after != beyond_.begin() && (after - 1)->to == number;
  if (joins_before && joins_after) {
    (after - 1)->to = after->to;
    after = beyond_.erase(after);
    return *(after - 1);
  }
  if (joins_before) {
    ++(after - 1)->to;
    return *(after - 1);
  }
  if (joins_after) {
    --after->from;
    return *after;
  }
  return *beyond_.insert(after, {number, number + 1});
}

void TcpConnection::advance() {
  if (beyond_.empty() || beyond_.front().from != next_) return;
  next_ = beyond_.front().to;
  beyond_.erase(beyond_.begin());
}

// ---- Acknowledgements and window.

void TcpConnection::acknowledge(const Block& block) {
  window_end_ = std::max(window_end_, next_ + select_window() / params_.segment_bytes);
  acked_ = next_;
  if (quick_acks_ != 0) --quick_acks_;
  if (due_count_ == due_.size()) --due_count_;
  TcpAck& ack = due_[due_count_++];
  ack.connection = params_.number;
  ack.next = next_;
  ack.sacked_from = block.from;
  ack.sacked_to = block.to;
  ack.window_end = window_end_;
  ack.ece = ce_;
}

std::uint64_t TcpConnection::select_window() const {
  const std::uint64_t full = window_of_space(rcvbuf_);
  const std::uint64_t free = rmem_ < rcvbuf_ ? window_of_space(rcvbuf_ - rmem_) : 0;
  if (free < full / 16 || free < params_.segment_bytes) return 0;
  return std::min(free, ssthresh_);
}

void TcpConnection::grow_window() {
  const std::uint64_t room = rmem_ < rcvbuf_ ? window_of_space(rcvbuf_ - rmem_) : 0;
  if (memory_.pages() >= memory_.pressure || room <= ssthresh_) return;
  ssthresh_ += std::min<std::uint64_t>(room - ssthresh_, 2 * params_.segment_bytes);
}

// ---- Autotuning.

/// The time in which a window's worth arrives; the smallest, because an idle sender makes it longer.
void TcpConnection::measure_rtt(Time now) {
  if (rtt_began_.ps != 0) {
    if (next_ < rtt_ends_) return;
    const Time sample = now - rtt_began_;
    if (rtt_.ps == 0 || sample < rtt_) rtt_ = sample;
  }
  rtt_began_ = now;
  rtt_ends_ = std::max(window_end_, next_ + 1);
}

void TcpConnection::read(Time now, std::uint32_t truesize) {
  rmem_ -= truesize;
  memory_.bytes -= truesize;
  charge_group(rmem_ + truesize);
  ++read_;
  adjust_space(now);
  // tcp_cleanup_rbuf: everything is read, or the window has room for twice as much.
  const bool lone = next_ != acked_ && read_ == next_;
  const std::uint64_t offered = (window_end_ - std::min(window_end_, next_)) * params_.segment_bytes;
  const bool opened =
      2 * offered <= window_of_space(rcvbuf_) && select_window() >= 2 * std::max<std::uint64_t>(offered, 1);
  if (lone || opened) acknowledge();
}

/// tcp_rcv_space_adjust: once per round trip, room for twice what was read and more while that grows.
void TcpConnection::adjust_space(Time now) {
  if (rtt_.ps == 0 || now - space_began_ < rtt_) return;
  const std::uint64_t copied = (read_ - space_read_) * params_.segment_bytes;
  if (copied > space_) {
    if (params_.autotuned && memory_.pages() < memory_.pressure) {
      std::uint64_t window = 2 * copied + 16 * std::uint64_t{params_.segment_bytes};
      window += 2 * (window * (copied - space_) / space_);
      const std::uint64_t space = std::min<std::uint64_t>(space_of_window(window), params_.most);
      rcvbuf_ = std::max(rcvbuf_, static_cast<std::uint32_t>(space));
    }
    space_ = copied;
  }
  space_read_ = read_;
  space_began_ = now;
}

}  // namespace rxpool
