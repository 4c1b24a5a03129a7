#include "models/traffic/wire.hpp"

#include <algorithm>
#include <bit>

#include "sim/error.hpp"

namespace rxpool {

namespace {

constexpr std::uint32_t fastest_mbps = 1'600'000;

/// What the wire knows of a packet; the fields behind are the NIC's. In place: a temporary would be copied by loads
/// wider than the stores that made it, which stalls for longer than all the rest takes.
inline void write_packet(const Offer& offer, std::uint64_t id, std::uint16_t source, std::int64_t arrival_ps,
                         Packet& packet) {
  static_cast<Frame&>(packet) = offer;
  packet.arrival.ps = arrival_ps;
  packet.id = id;
  packet.source = source;
}

}  // namespace

Wire::Wire(std::uint32_t link_mbps, const std::vector<Source*>& sources)
    : lanes_(sources.size()), merge_(std::max<std::size_t>(sources.size(), 1), block) {
  speeds_.reserve(16);
  speeds_.push_back(speed_of(Time{0}, link_mbps));
  for (std::size_t i = 0; i < sources.size(); ++i) {
    ensure(i == 0 || sources[i - 1]->index() < sources[i]->index(), "the sources of a wire are not in index order");
    lanes_[i].source = sources[i];
    lanes_[i].next_id = std::uint64_t{sources[i]->index()} << 48;
    refill(lanes_[i]);
  }
}

Wire::Speed Wire::speed_of(Time from, std::uint32_t link_mbps) {
  ensure(link_mbps <= fastest_mbps, "link speed beyond 1,600,000 Mbit/s");
  constexpr std::int64_t ps_per_byte_at_1_mbps = 8'000'000;
  if (link_mbps == 0) {
    return {from, 0, 0, 0};
  }
  return {from, link_mbps, ps_per_byte_at_1_mbps / link_mbps, ps_per_byte_at_1_mbps % link_mbps};
}

Wire::Exact Wire::after(Exact start, std::int64_t bytes, const Speed& speed) {
  const std::int64_t fraction = start.fraction + bytes * speed.remainder;
  return {start.ps + bytes * speed.ps_per_byte + fraction / speed.mbps, fraction % speed.mbps};
}

/// The first whole picosecond that is not before it.
Wire::Exact Wire::whole(Exact instant) {
  return {instant.ps + (instant.fraction > 0 ? 1 : 0), 0};
}

/// When the first bit of this frame, the next one, leaves, and which speed holds then.
Wire::Exact Wire::start_of(const Offer& offer, std::size_t& speed) const {
  speed = speed_;
  const bool waits = offer.at.ps < free_.ps || (offer.at.ps == free_.ps && free_.fraction > 0);
  Exact start = waits ? free_ : Exact{offer.at.ps, 0};
  while (speed + 1 < speeds_.size() && speeds_[speed + 1].from.ps <= whole(start).ps) {
    ++speed;
    start = whole(start);  // the fraction counts in units of the old speed
  }
  return start;
}

std::size_t Wire::pull(Time until, std::span<Packet> out) {
  std::size_t count = 0;
  while (count < out.size()) {
    if (steady()) {
      return count + pull_steady(until, out.subspan(count));
    }
    Lane* const lane = head();
    if (lane == nullptr) {
      break;
    }
    const Offer& offer = lane->offers[lane->next];
    std::size_t speed = 0;
    const Exact start = start_of(offer, speed);
    if (speeds_[speed].mbps == 0) {
      if (start.ps > until.ps) {
        break;
      }
      ++statistics_.carrier_errors;
      free_ = whole(free_);
    } else {
      const Exact end = after(start, preamble_bytes + offer.frame_bytes, speeds_[speed]);
      const Time arrival{whole(end).ps};
      if (arrival > until) {
        break;
      }
      free_ = after(end, gap_bytes, speeds_[speed]);
      write_packet(offer, lane->next_id++, lane->source->index(), arrival.ps, out[count++]);
      last_arrival_ = arrival;
      ++statistics_.packets;
      statistics_.bytes += offer.frame_bytes;
      statistics_.longest_wait = std::max(statistics_.longest_wait, Time{start.ps} - offer.at);
    }
    speed_ = speed;
    ++lane->next;
    next_in_order_ += lanes_.size() == 1 ? 0 : 1;
  }
  return count;
}

/// The same for a link whose speed gives whole picoseconds per byte and has no change ahead. What changes per packet is
/// kept in registers.
std::size_t Wire::pull_steady(Time until, std::span<Packet> out) {
  const std::int64_t ps_per_byte = speeds_[speed_].ps_per_byte;
  const std::int64_t gap_ps = gap_bytes * ps_per_byte;
  const std::int64_t until_free = until == Time::never() ? until.ps : until.ps + gap_ps;
  std::int64_t free = free_.ps;
  std::int64_t longest_wait = statistics_.longest_wait.ps;
  std::uint64_t bytes = 0;
  Packet* const begin = out.data();
  Packet* const end_of_out = begin + out.size();
  Packet* packet = begin;
  // False, with nothing changed, if the frame arrives too late.
  const auto send = [&](const Offer& offer, std::uint64_t id, std::uint16_t source) {
    const std::int64_t start = std::max(offer.at.ps, free);
    const std::int64_t on_link = (preamble_bytes + offer.frame_bytes + gap_bytes) * ps_per_byte;
    const std::int64_t next_free = start + on_link;
    if (next_free > until_free) {
      return false;
    }
    free = next_free;
    longest_wait = std::max(longest_wait, start - offer.at.ps);
    bytes += offer.frame_bytes;
    write_packet(offer, id, source, next_free - gap_ps, *packet++);
    return true;
  };
  bool in_time = true;
  while (in_time && packet != end_of_out) {
    Lane* const first = head();
    if (first == nullptr) {
      break;
    }
    const auto room = static_cast<std::size_t>(end_of_out - packet);
    if (lanes_.size() == 1) {
      std::size_t next = first->next;
      std::uint64_t id = first->next_id;
      const std::uint16_t source = first->source->index();
      const std::size_t stop = std::min(first->count, next + room);
      while (next < stop && (in_time = send(first->offers[next], id, source))) {
        ++next;
        ++id;
      }
      first->next = next;
      first->next_id = id;
    } else {
      const std::span<const std::uint64_t> order = order_.subspan(next_in_order_);
      const std::size_t stop = std::min(order.size(), room);
      std::size_t i = 0;
      for (; i < stop; ++i) {
        Lane& lane = lanes_[MergeKey::lane(order[i])];
        if (!(in_time = send(lane.offers[lane.next], lane.next_id, static_cast<std::uint16_t>(lane.next_id >> 48)))) {
          break;
        }
        ++lane.next;
        ++lane.next_id;
      }
      next_in_order_ += i;
    }
  }
  const auto count = static_cast<std::size_t>(packet - begin);
  free_.ps = free;
  statistics_.longest_wait = Time{longest_wait};
  statistics_.packets += count;
  statistics_.bytes += bytes;
  last_arrival_ = count > 0 ? packet[-1].arrival : last_arrival_;
  return count;
}

Time Wire::next_arrival() {
  const Lane* const lane = head();
  if (lane == nullptr) {
    return known_until();
  }
  const Offer& offer = lane->offers[lane->next];
  std::size_t speed = 0;
  const Exact start = start_of(offer, speed);
  if (speeds_[speed].mbps == 0) {
    return Time{whole(start).ps};
  }
  return Time{whole(after(start, preamble_bytes + offer.frame_bytes, speeds_[speed])).ps};
}

Time Wire::known_until() const {
  Time earliest = Time::never();
  for (const Lane& lane : lanes_) {
    earliest = lane.open ? earliest : std::min(earliest, lane.known_until);
  }
  return earliest;
}

void Wire::set_link(Time at, std::uint32_t link_mbps) {
  ensure(at >= last_arrival_, "link change before the last packet pulled");
  const auto later = std::upper_bound(speeds_.begin() + static_cast<std::ptrdiff_t>(speed_) + 1, speeds_.end(), at,
                                      [](Time t, const Speed& speed) { return t < speed.from; });
  speeds_.insert(later, speed_of(at, link_mbps));
}

void Wire::set_rate_factor(std::uint16_t source_index, Time at, double factor) {
  ensure(at >= last_arrival_, "rate change before the last packet pulled");
  const auto found = std::find_if(lanes_.begin(), lanes_.end(),
                                  [=](const Lane& lane) { return lane.source->index() == source_index; });
  ensure(found != lanes_.end(), "rate change of a source that is not on this wire");
  Lane& lane = *found;
  const auto kept = std::lower_bound(lane.offers.begin() + static_cast<std::ptrdiff_t>(lane.next),
                                     lane.offers.begin() + static_cast<std::ptrdiff_t>(lane.count), at,
                                     [](const Offer& offer, Time t) { return offer.at < t; });
  const auto keep = static_cast<std::size_t>(kept - lane.offers.begin());
  lane.source->withdraw(lane.count - keep);
  lane.count = keep;
  lane.open = true;
  lane.source->set_rate_factor(at, factor);
  order_ = {};
  next_in_order_ = 0;
}

/// The lane of the next frame; null if none is known.
inline Wire::Lane* Wire::head() {
  if (lanes_.size() == 1) {
    Lane& lane = lanes_.front();
    if (lane.next == lane.count) {
      refill(lane);
    }
    return lane.next < lane.count ? &lane : nullptr;
  }
  if (next_in_order_ == order_.size() && !merge()) {
    return nullptr;
  }
  return &lanes_[MergeKey::lane(order_[next_in_order_])];
}

/// Orders the frames up to the first instant at which some lane has no more of them in hand.
bool Wire::merge() {
  next_in_order_ = 0;
  order_ = {};
  Time origin = Time::never();
  Time limit = Time::never();
  std::uint32_t limit_lane = 0xffff;
  for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    if (lane.next == lane.count) {
      refill(lane);
    }
    if (lane.next < lane.count) {
      origin = std::min(origin, lane.offers[lane.next].at);
    }
    // Its last frame is the last that is sure to come before what the lane sends next.
    const Time sure = lane.open                           ? lane.offers[lane.count - 1].at
                      : lane.known_until == Time::never() ? Time::never()
                                                          : lane.known_until - Time{1};
    const std::uint32_t sure_lane = lane.open ? i : 0xffff;
    if (sure < limit || (sure == limit && sure_lane < limit_lane)) {
      limit = sure;
      limit_lane = sure_lane;
    }
  }
  if (origin == Time::never() || limit < origin) {
    return false;
  }
  origin -= Time{1};  // no key is zero: that is the guard in front of a run
  const std::uint64_t last = MergeKey::make(std::min(limit, origin + MergeKey::longest()) - origin, limit_lane);
  merge_.begin();
  for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = lanes_[i];
    std::uint64_t* const run = merge_.run();
    std::size_t keys = 0;
    for (std::size_t at = lane.next; at < lane.count && lane.offers[at].at <= limit; ++at) {
      const Time since_origin = std::min(lane.offers[at].at - origin, MergeKey::longest() + Time{1});
      run[keys] = MergeKey::make(since_origin, i);
      if (run[keys] > last) {
        break;
      }
      ++keys;
    }
    merge_.run_ends(keys);
  }
  order_ = merge_.merge();
  return !order_.empty();
}

/// Asks the source for the next block, even if it could not say last time: something may have happened since.
void Wire::refill(Lane& lane) {
  if (!lane.open && lane.known_until == Time::never()) {
    return;
  }
  lane.next = 0;
  lane.count = lane.source->produce(lane.offers);
  lane.open = lane.count == block;
  lane.known_until = lane.open ? Time::never() : lane.source->known_until();
}

}  // namespace rxpool
